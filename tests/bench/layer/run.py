#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measure what an enqueue costs with the OpenCL layer and without, and print the table.

    run.py BUILD [--json FILE] [--document FILE]

BUILD is a build folder. --json keeps every figure; --document replaces the lines between
"<!-- layer -->" and "<!-- end of layer -->" of a Markdown file by the table.

Instructions are those of the thread that enqueues, counted here by callgrind as the difference of two
run lengths. Times are of one boot of the board, whose heaps give the DMA-BUFs; the ratios are what they
are good for.
"""

import glob
import os
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
BENCHES = os.path.dirname(HERE)
sys.path[:0] = [BENCHES, os.path.join(BENCHES, 'overhead')]

import bench     # noqa: E402, the path comes first
import overhead  # noqa: E402

COMMANDS = (64, 320)        # the two run lengths under callgrind
TIMED = 200                 # commands of a timed run
ROUNDS = 3                  # each takes its turn in each round; the median counts
CASES = (('without', 0), ('with', 0), ('with', 1), ('with', 8))
LAYER = 'libshm_cl_layer.so'


def environment(build, layer):
    path = os.path.join(build, 'interop', 'opencl', 'layer', LAYER)
    rest = {name: value for name, value in os.environ.items() if name != 'OPENCL_LAYERS'}
    return {**rest, 'OPENCL_LAYERS': path} if layer == 'with' else rest


def enqueue(build, layer, imports, commands, wrapper=()):
    program = os.path.join(build, 'tests', 'bench', 'layer', 'enqueue')
    done = subprocess.run([*wrapper, program, str(imports), str(commands)], check=False, text=True,
                          env=environment(build, layer), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit(f'run.py: enqueue answers {done.returncode}')
    return [int(word) for word in done.stdout.split()]


def instructions_of_run(build, layer, commands):
    with tempfile.TemporaryDirectory(prefix='libshm-layer.') as folder:
        profile = os.path.join(folder, 'profile')
        enqueue(build, layer, 0, commands, [
            'valgrind', '-q', '--tool=callgrind', '--separate-threads=yes', '--fair-sched=yes',
            f'--callgrind-out-file={profile}'])
        first = sorted(glob.glob(f'{profile}-*'))[0]
        with open(first, encoding='utf-8') as file:
            return overhead.cost_by_object(file)


def instructions(build, layer):
    few, many = (instructions_of_run(build, layer, commands) for commands in COMMANDS)
    # each command is enqueued twice, in a batch and alone
    enqueues = (COMMANDS[1] - COMMANDS[0]) * 2
    return {'all': round((sum(many.values()) - sum(few.values())) / enqueues, 1),
            'layer': round((many[LAYER] - few[LAYER]) / enqueues, 1)}


def times(build):
    found = {case: [] for case in CASES}
    for layer, imports in CASES:        # what is compiled once is compiled now
        enqueue(build, layer, imports, 1)
    for _ in range(ROUNDS):
        for layer, imports in CASES:
            found[layer, imports].append(enqueue(build, layer, imports, TIMED))
    return [{'layer': layer, 'imports': imports,
             'together': statistics.median(figures[0] for figures in rounds),
             'alone': statistics.median(figures[1] for figures in rounds)}
            for (layer, imports), rounds in found.items()]


def table(found):
    """Markdown: what an enqueue costs, beside one without the layer."""
    lines = ['| an enqueue of eight buffers | among many | alone | instructions | of these the layer\'s |',
             '|---|--:|--:|--:|--:|']
    base = found['times'][0]
    for case in found['times']:
        name = f'{case["layer"]} the layer, {case["imports"]} imports'
        counted = found['instructions'].get(case['layer']) if not case['imports'] else None
        ratios = [f'{case[way] / base[way]:.2f}' for way in ('together', 'alone')]
        count = f'{counted["all"]:g} | {counted["layer"]:g}' if counted else '|'
        lines.append(f'| {name} | {ratios[0]} | {ratios[1]} | {count} |')
    return '\n'.join(lines)


def main():
    if bench.is_guest():
        bench.leave(times(sys.argv[1]))
        return 0
    options = bench.arguments(__doc__).parse_args()
    build = os.path.realpath(options.build)
    print('layer: on the board', file=sys.stderr)
    found = {'times': bench.on_board(__file__, build)}
    print('layer: counting instructions, two minutes', file=sys.stderr)
    found['instructions'] = {layer: instructions(build, layer) for layer in ('without', 'with')}
    bench.report(options, found, {'layer': table(found)})
    return 0


if __name__ == '__main__':
    sys.exit(main())
