#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The layer in processes of its own: how it is found, what it counts, what programs make of it.

layer=FILE wrapper=FILE trampoline=FILE ordinary=PROGRAM linked=PROGRAM tests=FOLDER
"""

import collections
import os
import shutil
import subprocess
import sys
import tempfile

OPTIONS = dict(argument.split('=', 1) for argument in sys.argv[1:] if '=' in argument)
LAYER, WRAPPER, TRAMPOLINE = [OPTIONS.get(key) for key in ('layer', 'wrapper', 'trampoline')]
ORDINARY, LINKED, TESTS = [OPTIONS.get(key) for key in ('ordinary', 'linked', 'tests')]
POCL = '/etc/OpenCL/vendors/pocl.icd'
LOST = '/nowhere/libshm_cl_layer.so'

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))),
                                'support'))

import tap  # noqa: E402, the path comes first


def start(argv, layers='', status=0, **more):
    """Run a program; what it prints to stdout. Variables that are None are not set."""
    variables = {'OCL_ICD_VENDORS': POCL, **os.environ, 'OPENCL_LAYERS': layers,
                 'LIBSHM_CL_FORCE': None, 'LIBSHM_CL_STATS': None, 'LIBSHM_CL_LAYER': None,
                 **more}
    answer = subprocess.run(argv, check=False, text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100,
                            env={name: value for name, value in variables.items()
                                 if value is not None})
    if answer.returncode != status:
        raise tap.Failed(f'{argv}: status {answer.returncode}\n{answer.stdout}{answer.stderr}')
    return answer.stdout + (answer.stderr if status else '')


def equal(one, other):
    if one != other:
        raise tap.Failed(f'{one}\nis not\n{other}')


def start_and_count(argv, layers, **more):
    """What the program prints, and the counters of each layer that was in it."""
    path = os.path.join(WORK, 'stats')
    if os.path.exists(path):
        os.unlink(path)
    printed = start(argv, layers, LIBSHM_CL_STATS=path, **more)
    counters = collections.defaultdict(list)
    if os.path.exists(path):
        with open(path, encoding='utf-8') as file:
            for line in file:
                _, name, count = line.split()
                counters[name].append(int(count))
    return printed, counters


def a_program_that_imports_nothing_sees_no_difference():
    plain, counters = start_and_count([ORDINARY], '')
    equal(dict(counters), {})
    with_layer, counters = start_and_count([ORDINARY], LAYER)
    equal(with_layer, plain)
    equal(set(map(tuple, counters.values())), {(0,)})


def forced_imports_change_no_result():
    plain = start([ORDINARY])
    forced, counters = start_and_count([ORDINARY], LAYER, LIBSHM_CL_FORCE='1')
    equal(forced, plain)
    # three of each queue's four buffers: one has memory of the program's
    equal(counters['forced'], [6])
    equal(counters['imports'], [6])
    equal(counters['failed_syncs'], [0])
    # fill, kernel, copy, kernel, map, two reads
    equal(counters['brackets'], [14])
    equal(counters['starts'], counters['ends'])
    if not counters['starts'][0]:
        raise tap.Failed(f'{dict(counters)}')


def only_one_forces():
    for value in ('0', '', '2', 'yes'):
        _, counters = start_and_count([ORDINARY], LAYER, LIBSHM_CL_FORCE=value)
        equal(counters['forced'], [0])


def counters_that_cannot_be_written_harm_nobody():
    equal(start([ORDINARY], LAYER, LIBSHM_CL_STATS='/nowhere/stats'), start([ORDINARY]))


def each_process_adds_its_counters():
    path = os.path.join(WORK, 'both')
    for _ in range(2):
        start([ORDINARY], LAYER, LIBSHM_CL_STATS=path)
    with open(path, encoding='utf-8') as file:
        lines = [line.split() for line in file]
    equal(len({line[0] for line in lines if line[1] == 'imports'}), 2)


def program(name):
    return os.path.join(TESTS, name)


def listed_twice_it_is_there_once():
    _, counters = start_and_count([program('test_layer_import')], f'{LAYER}:{LAYER}')
    if len(counters['imports']) != 1 or counters['imports'][0] == 0:
        raise tap.Failed(f'{dict(counters)}')
    start([program('test_layer_extensions')], f'{LAYER}:{LAYER}')


def where_the_implementation_has_it_the_layer_stays_out():
    """Another copy below stands for an implementation with both extensions."""
    native = os.path.join(WORK, 'native.so')
    shutil.copy(LAYER, native)
    for name in ('test_layer_extensions', 'test_layer_external'):
        start([program(name)], f'{native}:{LAYER}')
    for name in ('test_layer_import', 'test_layer_looks', 'test_layer_acquire',
                 'test_layer_command_buffers'):
        _, alone = start_and_count([program(name)], native)
        _, counters = start_and_count([program(name)], f'{native}:{LAYER}')
        equal(sorted(counters['imports']), [0] + alone['imports'])
        equal(sorted(counters['brackets']), [0] + alone['brackets'])


def the_wrapper_adds_the_layer():
    sample = [WRAPPER, 'sh', '-c', 'printf %s "$OPENCL_LAYERS"']
    equal(start(sample, None, LIBSHM_CL_LAYER=LAYER), LAYER)
    equal(start(sample, '', LIBSHM_CL_LAYER=LAYER), LAYER)
    equal(start(sample, '/other.so', LIBSHM_CL_LAYER=LAYER), f'/other.so:{LAYER}')
    equal(start([WRAPPER] + sample, '/other.so', LIBSHM_CL_LAYER=LAYER), f'/other.so:{LAYER}')
    _, counters = start_and_count([WRAPPER, ORDINARY], None, LIBSHM_CL_LAYER=LAYER,
                                  LIBSHM_CL_FORCE='1')
    equal(counters['forced'], [6])


def the_wrapper_hands_on_arguments_and_status():
    equal(start([WRAPPER, 'sh', '-c', 'printf "%s|" "$@"; exit 7', 'sh', 'a b', ''], '', 7,
                LIBSHM_CL_LAYER=LAYER), 'a b||')


def the_wrapper_says_what_is_missing():
    for argv, status, word, layer in (([WRAPPER, 'true'], 1, LOST, LOST),
                                      ([WRAPPER], 2, 'usage', LAYER),
                                      ([WRAPPER, '/nowhere/program'], 127, '/nowhere/', LAYER)):
        said = start(argv, '', status, LIBSHM_CL_LAYER=layer)
        if word not in said:
            raise tap.Failed(f'{argv} says {said}')


def the_wrapper_says_what_cannot_be_a_layer():
    path = os.path.join(WORK, 'text.so')
    with open(path, 'w', encoding='utf-8') as file:
        file.write('no layer')
    said = start([WRAPPER, 'true'], '', 1, LIBSHM_CL_LAYER=path)
    if path not in said:
        raise tap.Failed(f'it says {said}')


def the_trampoline_finds_the_layer():
    equal(start([LINKED], LAYER), '0 shared\n')
    equal(start([LINKED, TRAMPOLINE], LAYER), '0 shared\n')


def the_trampoline_refuses_where_there_is_none():
    equal(start([LINKED]), '-59 untouched\n')
    equal(start([LINKED, TRAMPOLINE]), '-59 untouched\n')


if __name__ == '__main__':
    with tempfile.TemporaryDirectory(prefix='layer.') as WORK:
        sys.exit(tap.main([(case.__name__, case) for case in (
            a_program_that_imports_nothing_sees_no_difference,
            forced_imports_change_no_result,
            only_one_forces,
            counters_that_cannot_be_written_harm_nobody,
            each_process_adds_its_counters,
            listed_twice_it_is_there_once,
            where_the_implementation_has_it_the_layer_stays_out,
            the_wrapper_adds_the_layer,
            the_wrapper_hands_on_arguments_and_status,
            the_wrapper_says_what_is_missing,
            the_wrapper_says_what_cannot_be_a_layer,
            the_trampoline_finds_the_layer,
            the_trampoline_refuses_where_there_is_none,
        )], sys.argv[1:]))
