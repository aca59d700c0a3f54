#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measure on the board what libshm costs beside a hand-written loop, and print the table.

    run.py BUILD [--json FILE] [--document FILE]

BUILD is a build folder. --json keeps every figure; --document replaces the lines between
"<!-- overhead -->" and "<!-- end of overhead -->" of a Markdown file by the table.
"""

import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

import bench     # noqa: E402, the path comes first
import overhead  # noqa: E402


def main():
    if bench.is_guest():
        bench.leave(overhead.measure(sys.argv[1]))
        return 0
    options = bench.arguments(__doc__).parse_args()
    folder = os.path.join(os.path.realpath(options.build), 'tests', 'bench', 'overhead')
    found = bench.on_board(__file__, folder)
    bench.report(options, found, {'overhead': overhead.table(found)})
    return 0


if __name__ == '__main__':
    sys.exit(main())
