# SPDX-License-Identifier: BSD-3-Clause
"""What ./check does once its packages are there."""

import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
import time

import tap
from progress import Progress

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, 'build')

# Whatever else is installed, it is PoCL that tests run on; those of other implementations say so.
POCL = '/etc/OpenCL/vendors/pocl.icd'
if os.path.exists(POCL):
    os.environ.setdefault('OCL_ICD_VENDORS', POCL)

# Build folders and their options. An adapter that can't be built is an error, not one test less.
FOLDERS = {
    'check': ['-Dauto_features=enabled'],
    'asan': ['-Dauto_features=enabled', '-Dtools=false', '-Dsamples=false',
             '-Db_sanitize=address,undefined'],
    'tsan': ['-Dauto_features=enabled', '-Dtools=false', '-Dsamples=false',
             '-Db_sanitize=thread'],
}


class Run:
    """One meson suite, run in one way."""

    def __init__(self, name, suite=None, folder='check', wrapper=None, slower=1, env=None,
                 skip_fails=False, without=()):
        self.name = name
        self.suite = suite or name
        self.folder = os.path.join(BUILD, folder)
        self.wrapper = wrapper or []
        self.slower = slower
        self.env = env or {}
        self.skip_fails = skip_fails
        # suites whose tests are left out
        self.without = [*without] + ([] if self.suite in ('long', 'debug-kernel') else ['long'])


def fixed_addresses():
    """gcc 12's thread sanitizer dies where the kernel randomises more bits than it expects."""
    command = ['setarch', os.uname().machine, '-R']
    works = shutil.which('setarch') and subprocess.run(
        command + ['true'], stderr=subprocess.DEVNULL, check=False).returncode == 0
    return command if works else []


RUNS = [
    Run('unit'),
    Run('asan', 'unit', 'asan', slower=4, env={
        'ASAN_OPTIONS': 'detect_stack_use_after_return=1:strict_string_checks=1',
        'LSAN_OPTIONS': f'suppressions={ROOT}/tests/support/lsan.supp:print_suppressions=0',
        'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1'}),
    Run('tsan', 'unit', 'tsan', slower=6, wrapper=fixed_addresses(), env={
        'TSAN_OPTIONS': f'suppressions={ROOT}/tests/support/tsan.supp'}),
    Run('valgrind', 'unit', slower=6, without=['compiles-kernels'], wrapper=[
        # One thread runs at a time, and without turns one that never sleeps keeps all others out.
        'valgrind', '--fair-sched=yes', '--quiet', '--leak-check=full', '--error-exitcode=99',
        # LLVM keeps pointers to the middle of things, which counts as possibly lost.
        '--show-leak-kinds=definite,indirect', '--errors-for-leak-kinds=definite,indirect',
        f'--suppressions={ROOT}/tests/support/valgrind.supp']),
    Run('guard', 'unit', env={'LIBSHM_GUARD': '1'}),
    Run('protocol'),
    Run('firmware'),
    Run('samples'),
    Run('install'),
    Run('lint'),
    Run('board', skip_fails=True),
]
LONG = Run('long', slower=0, skip_fails=True)
# What concerns the kernel modules, on a kernel that looks for their faults; 6 is DEBUG_SLOWER of run-tests.
DEBUG_KERNEL = Run('debug-kernel', slower=6, skip_fails=True, env={'LIBSHM_BOARD_DEBUG': '1'})


class Totals:
    def __init__(self):
        self.count = {'passed': 0, 'failed': 0, 'skipped': 0}
        self.failures = []

    def add(self, state, name, detail=()):
        self.count[state] += 1
        if state == 'failed':
            self.failures.append(name)
            print(f'FAIL {name}')
            for line in detail:
                print(f'     | {line}')

    def __str__(self):
        text = f'{self.count["passed"]} passed, {self.count["failed"]} failed'
        return text + (f', {self.count["skipped"]} skipped' if self.count['skipped'] else '')


def command_output(argv, progress, env=None):
    """Run a command while its last line shows as progress; its status and output."""
    lines = []
    with subprocess.Popen(argv, cwd=ROOT, env={**os.environ, **(env or {})}, text=True,
                          errors='replace', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        for line in process.stdout:
            line = line.rstrip()
            if line.startswith('>>> '):     # meson starts a program
                progress.tell('running ' + os.path.basename(line.split()[-1]))
            elif line:
                lines.append(line)
                progress.tell(line)
    return process.returncode, lines


def configure(folder, totals):
    """A build folder that fits its options; False when meson refuses."""
    options = FOLDERS[os.path.basename(folder)]
    stamp = os.path.join(folder, '.options')
    wanted = '\n'.join(options)
    if os.path.exists(stamp):
        with open(stamp, encoding='utf-8') as file:
            if file.read() == wanted:
                return True
    shutil.rmtree(folder, ignore_errors=True)
    with Progress(f'{os.path.basename(folder)}: configure') as progress:
        status, lines = command_output(['meson', 'setup', folder, ROOT, *options], progress)
    if status:
        totals.add('failed', f'{os.path.basename(folder)}: configure', lines[-40:])
        return False
    with open(stamp, 'w', encoding='utf-8') as file:
        file.write(wanted)
    return True


def tests_of(run):
    """What meson knows of a run's tests. Those marked long belong to the run long alone."""
    with open(os.path.join(run.folder, 'meson-info', 'intro-tests.json'), encoding='utf-8') as file:
        tests = json.load(file)

    def suites(test):
        return [suite.split(':')[-1] for suite in test['suite']]

    return [test for test in tests if run.suite in suites(test) and
            not set(run.without) & set(suites(test))]


def block_of(case, lines):
    """What cmocka logged between the case's start and the next one's."""
    try:
        start = lines.index(f'test: {case.name}')
    except ValueError:
        return []
    end = next((index for index in range(start + 1, len(lines))
                if lines[index].startswith('test: ')), len(lines))
    return lines[start:end]


def count_test(run, test, record, totals):
    """Add one test program's cases; a program without any is a failure."""
    label = f'{run.name} {test["name"]}'
    stdout = record.get('stdout') or ''
    stderr = [line for line in (record.get('stderr') or '').splitlines()
              if line.strip() and not line.startswith('(test program exited')]
    log = stderr[-40:]      # shown once, with the first case that it must stand for
    if test['protocol'] == 'tap':
        cases = tap.parse(stdout)
    else:
        state = {'OK': 'passed', 'SKIP': 'skipped'}.get(record['result'], 'failed')
        cases = [tap.Case('exit status', state, stdout.splitlines())]
    for case in cases:
        state = case.state
        if state == 'skipped' and run.skip_fails:
            state = 'failed'
        detail = case.notes[-40:] + block_of(case, stderr)[-40:]
        if state == 'failed' and not block_of(case, stderr):
            detail, log = detail + log, []
        totals.add(state, f'{label}: {case.name}', detail)
    if not cases:
        totals.add('failed', f'{label}: no case ran ({record["result"]})', log)
    elif record['result'] not in ('OK', 'SKIP') and all(case.state != 'failed' for case in cases):
        totals.add('failed', f'{label}: {record["result"]}, status {record["returncode"]}',
                   stdout.splitlines()[-10:] + log)


def read_log(path):
    try:
        with open(path, encoding='utf-8') as file:
            return [json.loads(line) for line in file if line.strip()]
    except FileNotFoundError:
        return []


def run_suite(run, totals):
    """Run a suite and add its cases."""
    before = dict(totals.count)
    started = time.monotonic()
    logs = os.path.join(run.folder, 'meson-logs', f'{run.name}*.json')
    for old in glob.glob(logs):
        os.unlink(old)
    argv = ['meson', 'test', '-C', run.folder, '--suite', run.suite, '--logbase', run.name,
            '-t', str(run.slower)]
    for suite in run.without:
        argv += ['--no-suite', suite]
    if run.wrapper:
        argv += ['--wrapper', ' '.join(run.wrapper)]
    with Progress(run.name) as progress:
        _, lines = command_output(argv, progress, run.env)
    records = [record for log in glob.glob(logs) for record in read_log(log)]
    tests = tests_of(run)
    for test in tests:
        found = [record for record in records
                 if record['name'] == test['name'] or record['name'].endswith(f' / {test["name"]}')]
        if found:
            count_test(run, test, found[-1], totals)
        else:
            totals.add('failed', f'{run.name} {test["name"]}: it was not run', lines[-40:])
            lines = []
    if not tests:
        totals.add('failed', f'{run.name}: the suite has no test', lines[-20:])
    done = ', '.join(f'{totals.count[state] - before[state]} {state}' for state in totals.count
                     if state == 'passed' or totals.count[state] > before[state])
    print(f'{run.name:9} {done}, {time.monotonic() - started:.1f} s', flush=True)


def build_kernel(totals, *how):
    """The board's kernel, from the cache or built now: some ten minutes on two cores."""
    script = os.path.join(ROOT, 'tests', 'board', 'build-kernel')
    if not os.path.exists(script):
        return True
    sys.stdout.flush()
    status = subprocess.run([script, *how], stdout=subprocess.DEVNULL, check=False).returncode
    if status:
        totals.add('failed', f'board: {os.path.relpath(script, ROOT)} ended with {status}')
    return status == 0


def build(folder, totals):
    with Progress(f'{os.path.basename(folder)}: build') as progress:
        status, lines = command_output(['ninja', '-C', folder], progress)
    if status:
        totals.add('failed', f'{os.path.basename(folder)}: build', lines[-60:])
    return status == 0


def list_cases(runs):
    """A line for each case of each run: as many as a full run counts."""
    status = 0
    folder = os.path.join(BUILD, 'check')
    for run in runs:
        for test in tests_of(Run(run.name, run.suite, without=run.without)):
            if test['protocol'] != 'tap':
                print(f'{run.name} {test["name"]}: exit status')
                continue
            answer = subprocess.run(test['cmd'] + ['--list'], cwd=folder, text=True, check=False,
                                    env={**os.environ, **test['env']}, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE)
            for case in answer.stdout.splitlines():
                print(f'{run.name} {test["name"]}: {case}')
            if answer.returncode or not answer.stdout:
                print(f'{test["name"]} does not answer --list', file=sys.stderr)
                status = 1
    return status


def arguments():
    parser = argparse.ArgumentParser(
        prog='./check', description='Run every test, on the host and on the board. The last line '
        'is "N passed, N failed" or "N passed, N failed, N skipped".')
    parser.add_argument('--list', action='store_true', help='name every case, and run none')
    parser.add_argument('--host', action='store_true', help='leave the board out')
    parser.add_argument('--suite', action='append', metavar='NAME', default=[],
                        choices=[run.name for run in RUNS + [LONG]],
                        help='only this; may be given more than once: ' +
                        ', '.join(run.name for run in RUNS + [LONG]))
    parser.add_argument('--long', action='store_true', help='also what takes hours')
    parser.add_argument('--debug-kernel', action='store_true',
                        help='only this: the kernel modules on a kernel with lockdep, KASAN and kmemleak')
    parser.add_argument('--mutants', action='store_true',
                        help='break each line listed in tests/mutants: a test must notice')
    return parser.parse_args()


def main():
    options = arguments()
    if options.mutants:
        script = os.path.join(ROOT, 'tests', 'mutants', 'run.py')
        os.execv(sys.executable, [sys.executable, script])

    runs = [run for run in RUNS if run.name in options.suite or not options.suite]
    runs = [run for run in runs if not (options.host and run.suite == 'board')]
    long_wanted = options.long or 'long' in options.suite
    if options.debug_kernel:
        runs, long_wanted = [DEBUG_KERNEL], False
    if not runs and not long_wanted:
        sys.exit('nothing is left to run')
    totals = Totals()
    folder = os.path.join(BUILD, 'check')
    if configure(folder, totals) and build(folder, totals):
        if long_wanted and tests_of(LONG):
            runs.append(LONG)
        elif long_wanted:
            print('no test is marked long', file=sys.stderr)
        if options.list:
            return list_cases(runs)
        for run in runs:
            if configure(run.folder, totals):
                if (run.suite not in ('board', 'long', 'debug-kernel') or
                        build_kernel(totals, *(['--debug'] if run is DEBUG_KERNEL else []))):
                    run_suite(run, totals)
    if totals.failures:
        print('\nfailed:')
        for name in totals.failures:
            print(f'  {name}')
    print(totals)
    return 1 if totals.failures else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
