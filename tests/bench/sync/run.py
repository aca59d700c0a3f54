#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measure what hand-overs cost, here and on the board, and print the tables.

    run.py BUILD [--table NAME]... [--json FILE] [--document FILE] [--plot FILE] [--from FILE]

BUILD is a build folder. --table measures and prints that one alone. --json keeps every figure, and --from
takes them from there and measures nothing. --document replaces the lines between "<!-- NAME -->" and "<!-- end of NAME -->" of a Markdown file, for
each table; --plot draws the board's figures as SVG, with matplotlib.
"""

import json
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

import bench  # noqa: E402, the path comes first
import sync   # noqa: E402


def plot(found, path):
    """START and END by size, a line for each heap, and what a hand-over does instead."""
    try:
        import matplotlib
    except ImportError:
        sys.exit('run.py: --plot needs matplotlib: scripts/install-packages bench')
    matplotlib.use('svg')
    matplotlib.rcParams.update({'svg.fonttype': 'none', 'svg.hashsalt': 'libshm'})
    from matplotlib import pyplot

    base = next(row['ns'] for row in found['board'] if row['memory'] == 'elided')
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for memory, attachments, label, style in (
            ('heap:system', 0, 'heap:system, not attached', 'o--'),
            ('heap:system', 1, 'heap:system, 1 attachment', 'o-'),
            ('heap:system', 2, 'heap:system, 2 attachments', 'o-'),
            ('heap:reserved', 1, 'heap:reserved, 1 attachment', 's-'),
            ('udmabuf', 1, 'udmabuf, fresh pages', '^-'),
            ('whole', 1, 'udmabuf, scattered pages', 'v'),
            ('window', 1, 'udmabuf of 4 KiB of these', 'D'),
            ('by-window', 0, 'a part, by its window', 'P-'),
            ('copied', 0, 'a part, copied and handed over', '*-')):
        points = sorted((row['size'], row['ns'] / base) for row in found['board']
                        if row['memory'] == memory and row['attachments'] == attachments)
        axes.plot(*zip(*points), style, label=label)
    axes.axhline(1, color='black', linewidth=1, label='nothing needed')
    axes.set(yscale='log', xlabel='bytes', ylabel='times what needs nothing costs')
    axes.set_xscale('log', base=2)
    axes.legend(fontsize='small')
    figure.savefig(path, format='svg', metadata={'Date': None}, bbox_inches='tight')
    with open(path, encoding='utf-8') as file:
        first, rest = file.read().split('\n', 1)
    with open(path, 'w', encoding='utf-8') as file:
        file.write('\n'.join((first, '<!-- SPDX-License-Identifier: BSD-3-Clause -->',
                              *(line.rstrip() for line in rest.split('\n')))))


def measured(build, tables):
    folder = os.path.join(build, 'tests', 'bench', 'sync')
    print('sync: here, two minutes for all', file=sys.stderr)
    found = {name: measure(folder) for name, measure in sync.HERE.items() if name in tables}
    if sync.BOARD in tables:
        print('sync: on the board, counting instructions', file=sys.stderr)
        found['board'] = bench.on_board(__file__, folder, '--icount')
    return found


def main():
    if bench.is_guest():
        bench.leave(sync.measure_board(sys.argv[1]))
        return 0
    parser = bench.arguments(__doc__)
    parser.add_argument('--plot')
    parser.add_argument('--from', dest='taken')
    parser.add_argument('--table', action='append', choices=sync.TABLES)
    options = parser.parse_args()
    tables = options.table or list(sync.TABLES)
    if options.taken:
        with open(options.taken, encoding='utf-8') as file:
            found = json.load(file)
    else:
        found = measured(os.path.realpath(options.build), tables)
    bench.report(options, found, {name: sync.TABLES[name](found) for name in tables})
    if options.plot:
        plot(found, options.plot)
    return 0


if __name__ == '__main__':
    sys.exit(main())
