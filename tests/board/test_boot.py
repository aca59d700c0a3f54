#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The scripts of the board, seen from the host.

usage: test_boot.py FIXTURE [rom=ROM] [--list]

FIXTURE is the program with cases that go wrong on purpose, ROM the coprocessor's.
"""

import functools
import os
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'support'))
sys.dont_write_bytecode = True

import tap  # noqa: E402, the path comes first

BOARD = os.path.join(HERE, 'board')
FIXTURE = os.path.realpath(sys.argv[1])
ROM = next((word[4:] for word in sys.argv if word.startswith('rom=')), None)

# In the host's /tmp, which the guest covers with its own.
folder = tempfile.TemporaryDirectory(prefix='libshm-test-boot.', dir='/tmp')


def own_cache():
    """A cache with the kernel that is built and nothing else, so that no case sees another's."""
    kernel = subprocess.run([os.path.join(HERE, 'build-kernel'), '--path'], check=False, text=True,
                            stdout=subprocess.PIPE).stdout.strip()
    cache = os.path.join(folder.name, 'cache')
    os.makedirs(cache, exist_ok=True)
    link = os.path.join(cache, os.path.basename(kernel))
    if kernel and not os.path.lexists(link):
        os.symlink(kernel, link)
    return cache


def start(*arguments, cache=None, directory=HERE):
    return subprocess.Popen([BOARD, *arguments], cwd=directory, text=True, errors='replace',
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE,
                            env={**os.environ, 'LIBSHM_CACHE': cache or own_cache()})


def ended(process):
    stdout, stderr = process.communicate()
    return process.returncode, stdout, stderr


@functools.cache
def one_boot():
    """What several cases look at: status, stdout, stderr and the file that the guest left."""
    tree = os.path.join(folder.name, 'a tree')
    out = os.path.join(folder.name, 'out')
    os.mkdir(tree)
    with open(os.path.join(tree, 'here'), 'w', encoding='utf-8') as file:
        file.write('seen\n')
    process = start('--out', out, '--env', "GIVEN=it's two  words",
                    'pwd; cat here; echo "[$GIVEN]"; echo complaint >&2; seq 100000; '
                    'echo left >/run/out/file; exit 3', directory=tree)
    return *ended(process), tree, os.path.join(out, 'file')


def expect(found, wanted, what):
    if found != wanted:
        raise tap.Failed(f'{what} is {found!r}, not {wanted!r}')


def the_exit_status_reaches_the_host():
    expect(one_boot()[0], 3, 'the status')


def stdout_and_stderr_stay_apart_and_whole():
    _, stdout, stderr, _, _ = one_boot()
    expect(stderr, 'complaint\n', 'stderr')
    expect(stdout.splitlines()[3:], [str(number) for number in range(1, 100001)], 'stdout')


def a_tree_below_tmp_is_seen_where_the_host_has_it():
    _, stdout, _, tree, _ = one_boot()
    expect(stdout.splitlines()[:2], [tree, 'seen'], 'what the guest sees')


def a_variable_given_reaches_the_guest():
    expect(one_boot()[1].splitlines()[2], "[it's two  words]", 'the variable')


def files_in_run_out_appear_on_the_host():
    with open(one_boot()[4], encoding='utf-8') as file:
        expect(file.read(), 'left\n', 'the file')


def the_time_limit_ends_the_guest_with_124():
    expect(ended(start('--timeout', '10', 'sleep 1000'))[0], 124, 'the status')


def a_guest_that_panics_is_125_and_shows_why():
    status, _, stderr = ended(start('echo c >/proc/sysrq-trigger; sleep 10'))
    expect(status, 125, 'the status')
    tap.check([] if 'Kernel panic' in stderr else [f'no panic in: {stderr}'])


def a_missing_kernel_is_told_in_one_line():
    status, stdout, stderr = ended(start('true', cache=os.path.join(folder.name, 'nothing')))
    expect(status, 125, 'the status')
    expect(stdout, '', 'stdout')
    expect(stderr, "board: the board's kernel is not built: run tests/board/build-kernel\n",
           'stderr')


def two_guests_at_once_both_keep_pocl_files():
    cache = own_cache()
    script = 'mkdir -p $POCL_CACHE_DIR/AB/C; echo {0} >$POCL_CACHE_DIR/AB/C/{0}; cat /proc/uptime'
    guests = [start(script.format(name), cache=cache) for name in ('one', 'two')]
    for guest in guests:
        expect(ended(guest)[0], 0, 'the status')
    status, stdout, _ = ended(start('cat $POCL_CACHE_DIR/AB/C/*', cache=cache))
    expect(status, 0, 'the status')
    expect(stdout, 'one\ntwo\n', 'what a third guest finds')


def report_of(*arguments):
    done = subprocess.run([os.path.join(HERE, 'run-tests'), *arguments], text=True, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    return done.returncode, [(case.name, case.state) for case in tap.parse(done.stdout)]


def program(name, *lines):
    path = os.path.join(folder.name, name)
    with open(path, 'w', encoding='utf-8') as file:
        file.write('\n'.join(['#!/bin/sh', 'echo 1..1', 'echo ok 1 - works', *lines, '']))
    os.chmod(path, 0o755)
    return path


def crashes_skips_leaks_and_kernel_warnings_are_failures():
    status, cases = report_of(
        '--program-timeout', '15', '--', FIXTURE, '--', FIXTURE, 'die-before-the-plan',
        '--', 'true',
        '--', program('sleeps', 'exec sleep 1000'),
        '--', program('exits', 'exit 1'),
        '--', program('warns', 'echo "WARNING: made up" >/dev/kmsg'))
    expect(status, 1, 'the status')
    wanted = [
        ('fixture: passes', 'passed'),
        ('fixture: fails', 'failed'),
        ('fixture: skips', 'failed'),
        ('fixture: leaks_a_descriptor', 'failed'),
        ('fixture: runs to its end', 'failed'),
        ('fixture die-before-the-plan: runs to its end', 'failed'),
        ('true: runs to its end', 'failed'),
        ('sleeps: works', 'passed'),
        ('sleeps: runs to its end', 'failed'),
        ('exits: works', 'passed'),
        ('exits: runs to its end', 'failed'),
        ('warns: works', 'passed'),
        ('the kernel log holds no warning', 'failed'),
    ]
    tap.check(f'{case} is not in the report: {cases}' for case in wanted if case not in cases)
    expect(cases[-2:], wanted[-2:], 'the end of the report')


def a_boot_that_does_nothing_leaves_no_kernel_warning():
    status, cases = report_of('--', program('idle'))
    expect(cases, [('idle: works', 'passed'), ('the kernel log holds no warning', 'passed')],
           'the report')
    expect(status, 0, 'the status')


def machines_with(ram):
    """The QEMUs that have this file as their memory."""
    found = []
    for process in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{process}/cmdline', encoding='utf-8', errors='replace') as file:
                words = file.read().split('\0')
        except OSError:     # it has ended
            continue
        if os.path.basename(words[0]).startswith('qemu-') and any(ram in word for word in words):
            found.append(os.path.basename(words[0]))
    return sorted(found)


def wait_until(condition, what):
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            raise tap.Failed(f'not within 30 s: {what}')
        time.sleep(0.05)


def both_machines_end_with_the_script():
    ram = os.path.join(folder.name, 'ram')
    for end in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        process = start('--coprocessor', ROM, '--ram', ram, 'sleep 1000')
        wait_until(lambda: len(machines_with(ram)) == 2, 'two machines run')
        process.send_signal(end)
        wait_until(lambda: not machines_with(ram), f'both machines end after signal {end}')
        process.communicate()
    os.unlink(ram)


def both_machines_end_with_the_guest():
    ram = os.path.join(folder.name, 'ram')
    out = os.path.join(folder.name, 'coprocessor')
    expect(ended(start('--coprocessor', ROM, '--ram', ram, '--out', out, 'true'))[0], 0, 'the status')
    expect(machines_with(ram), [], 'what runs afterwards')
    expect(os.path.exists(os.path.join(out, 'coprocessor.log')), True, 'that a log is kept')
    os.unlink(ram)


def a_missing_rom_is_told_in_one_line():
    nothing = os.path.join(folder.name, 'nothing')
    status, _, stderr = ended(start('--coprocessor', nothing, 'true'))
    expect(status, 125, 'the status')
    expect(stderr, f'board: no such file: {nothing}\n', 'stderr')


CASES = (
    the_exit_status_reaches_the_host,
    stdout_and_stderr_stay_apart_and_whole,
    a_tree_below_tmp_is_seen_where_the_host_has_it,
    a_variable_given_reaches_the_guest,
    files_in_run_out_appear_on_the_host,
    the_time_limit_ends_the_guest_with_124,
    a_guest_that_panics_is_125_and_shows_why,
    a_missing_kernel_is_told_in_one_line,
    two_guests_at_once_both_keep_pocl_files,
    crashes_skips_leaks_and_kernel_warnings_are_failures,
    a_boot_that_does_nothing_leaves_no_kernel_warning,
) + ((
    both_machines_end_with_the_script,
    both_machines_end_with_the_guest,
    a_missing_rom_is_told_in_one_line,
) if ROM else ())

if __name__ == '__main__':
    sys.exit(tap.main([(case.__name__, case) for case in CASES],
                      [word for word in sys.argv[2:] if not word.startswith('rom=')]))
