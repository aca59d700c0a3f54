#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measure on the board what libshm costs beside a hand-written loop, and print the table.

    run.py BUILD [--json FILE] [--document FILE]

BUILD is a build folder. --json keeps every figure; --document replaces the lines between "<!-- table -->"
and "<!-- end -->" of a Markdown file by the table.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import overhead  # noqa: E402, the path comes first

BOARD = os.path.join(HERE, '..', '..', 'board', 'board')
RESULT = 'overhead.json'


def in_guest(folder):
    with open(os.path.join('/run/out', RESULT), 'w', encoding='utf-8') as file:
        json.dump(overhead.measure(folder), file, indent=1)


def on_board(build):
    folder = os.path.join(os.path.realpath(build), 'tests', 'bench', 'overhead')
    with tempfile.TemporaryDirectory(prefix='libshm-overhead.') as out:
        done = subprocess.run([BOARD, '--timeout', '600', '--out', out, '--visible', folder, '--',
                               '/usr/bin/python3', os.path.realpath(__file__), folder], check=False)
        if done.returncode:
            sys.exit(f'run.py: the board answered {done.returncode}')
        with open(os.path.join(out, RESULT), encoding='utf-8') as file:
            return json.load(file)


def write_into(path, table):
    with open(path, encoding='utf-8') as file:
        text = file.read()
    text, n = re.subn(r'(?s)(<!-- table -->\n).*?(<!-- end -->)',
                      lambda match: f'{match[1]}{table}\n{match[2]}', text)
    if not n:
        sys.exit(f'run.py: {path} has no <!-- table -->')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def main():
    if os.environ.get('LIBSHM_BOARD'):
        return in_guest(sys.argv[1])
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('build')
    parser.add_argument('--json')
    parser.add_argument('--document')
    options = parser.parse_args()
    found = on_board(options.build)
    table = overhead.table(found)
    print(table)
    if options.json:
        with open(options.json, 'w', encoding='utf-8') as file:
            json.dump(found, file, indent=1)
    if options.document:
        write_into(options.document, table)
    return 0


if __name__ == '__main__':
    sys.exit(main())
