# SPDX-License-Identifier: BSD-3-Clause
"""What the benches share: figures that are taken on the board, and the table in a document."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

BOARD = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), 'board', 'board')
OUT = '/run/out'            # the guest's name of the folder that is --out
RESULT = 'figures.json'


def is_guest():
    return bool(os.environ.get('LIBSHM_BOARD'))


def leave(figures):
    """In the guest: what on_board() answers on the host."""
    with open(os.path.join(OUT, RESULT), 'w', encoding='utf-8') as file:
        json.dump(figures, file, indent=1)


def on_board(script, folder, *options):
    """The figures that the script leaves on the board, where it is given the folder."""
    with tempfile.TemporaryDirectory(prefix='libshm-bench.') as out:
        done = subprocess.run([BOARD, '--timeout', '600', '--out', out, '--visible', folder, *options,
                               '--', '/usr/bin/python3', os.path.realpath(script), folder],
                              check=False)
        if done.returncode:
            sys.exit(f'run.py: the board answered {done.returncode}')
        with open(os.path.join(out, RESULT), encoding='utf-8') as file:
            return json.load(file)


def arguments(usage):
    """What each bench is called with; it may add to it."""
    parser = argparse.ArgumentParser(usage=usage)
    parser.add_argument('build')
    parser.add_argument('--json')
    parser.add_argument('--document')
    return parser


def report(options, found, tables):
    """Print the tables, which have names, and leave them and the figures where the options say."""
    if options.json:
        with open(options.json, 'w', encoding='utf-8') as file:
            json.dump(found, file, indent=1)
    print('\n\n'.join(tables.values()))
    for name, table in tables.items():
        if options.document:
            _write_into(options.document, name, table)


def _write_into(path, name, table):
    """Replace what stands between the lines "<!-- NAME -->" and "<!-- end of NAME -->"."""
    with open(path, encoding='utf-8') as file:
        text = file.read()
    text, n = re.subn(rf'(?s)(<!-- {name} -->\n).*?(<!-- end of {name} -->)',
                      lambda match: f'{match[1]}{table}\n{match[2]}', text)
    if not n:
        sys.exit(f'run.py: {path} has no <!-- {name} -->')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
