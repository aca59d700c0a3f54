#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measure on the board what it costs that firmware gets 1 MiB, and print the table.

    run.py BUILD [--json FILE] [--document FILE]

BUILD is a build folder. Two boots: one for the times, one that counts instructions, in which the two machines
don't share a clock, so that only the program's own CPU time means something. --json keeps every figure;
--document replaces the lines between "<!-- coprocessor -->" and "<!-- end of coprocessor -->" of a Markdown
file by the table. Fails where memory in place takes less than 100 times fewer instructions than messages.
"""

import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

import bench        # noqa: E402, the path comes first
import coprocessor  # noqa: E402

ROUNDS = {'time': 31, 'instructions': 5}
NS = 8              # that an instruction takes in a boot with --icount
LEAST = 100         # times fewer instructions
KINDS = ('heap:system', 'heap:reserved', 'rproc:board/shared', 'udmabuf')
TITLES = {
    **{kind: f'share 1 MiB of {kind} for the first time, give it, take it back, detach it'
       for kind in KINDS},
    'sent': 'send 1 MiB in RPMsgs of 496 bytes',
    'known': 'give 1 MiB of heap:system that is shared already and take it back',
    'ping-pong': 'a bare RPMsg and its answer',
}


def on_board(build, kind, *options):
    tests = os.path.join(build, 'tests', 'board', 'firmware')
    return bench.on_board(__file__, os.path.join(build, 'tests', 'bench', 'rproc'),
                          '--visible', build, '--env', f'LIBSHM_BENCH={kind}',
                          '--env', f'LIBSHM_BOARD_FIRMWARE={tests}',
                          '--coprocessor', os.path.join(tests, 'coprocessor-boot.bin'), *options)


def ratio(found, kind, field, above, below):
    return found[kind][above][field] / found[kind][below][field]


def least(found, kind, field):
    return min(ratio(found, kind, field, 'sent', memory) for memory in KINDS)


def table(found):
    lines = ['| what | time | instructions of the program and the kernel for it |', '|---|---:|---:|']
    for name, title in TITLES.items():
        instructions = f'{found["instructions"][name]["cpu"] // NS:,}'.replace(',', ' ')
        lines.append(f'| {title} | {found["time"][name]["ns"] / 1000:.0f} µs | {instructions} |')
    lines += ['', f'In place is at least {least(found, "time", "ns"):.0f} times as fast and takes at least '
              f'{least(found, "instructions", "cpu"):.0f} times fewer instructions than messages, whatever the '
              'memory; a hand-over there and back takes '
              f'{ratio(found, "time", "ns", "known", "ping-pong"):.2f} times as long as a bare message and its '
              'answer.']
    return '\n'.join(lines)


def main():
    if bench.is_guest():
        bench.leave(coprocessor.measure(sys.argv[1], ROUNDS[os.environ['LIBSHM_BENCH']]))
        return 0
    options = bench.arguments(__doc__).parse_args()
    build = os.path.realpath(options.build)
    found = {'time': on_board(build, 'time'),
             'instructions': on_board(build, 'instructions', '--icount')}
    bench.report(options, found, {'coprocessor': table(found)})
    if least(found, 'instructions', 'cpu') < LEAST:
        print(f'run.py: not {LEAST} times fewer instructions', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
