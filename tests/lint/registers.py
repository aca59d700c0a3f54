#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Nothing lies in the tree that no list names: sources and mutants."""

import os
import re
import sys

import tree as lint

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                'mutants'))
import mutants      # noqa: E402


def each_c_file_is_built(tree):
    texts = {name: tree.text(name) for name in tree.files('*meson.build', '*Makefile', '*Kbuild')}
    for name in tree.files('*.c'):
        stem = os.path.splitext(os.path.basename(name))[0]
        folder = os.path.dirname(name)
        above = [path for path in texts
                 if os.path.dirname(path) == folder or not os.path.dirname(path) or
                 folder.startswith(os.path.dirname(path) + '/')]
        if not any(re.search(rf'(?<!\w){re.escape(stem)}(\.[co]\b|\')', texts[path])
                   for path in above):
            yield f'{name}: no meson.build beside or above it names it'


def each_core_file_has_a_mutant(tree):
    broken = {mutant.file for mutant in mutants.read_all(tree.root)}
    for name in tree.files('libshm/core/*.c'):
        if name not in broken:
            yield name


def each_mutant_fits_its_file(tree):
    for mutant in mutants.read_all(tree.root):
        problem = mutant.problem(tree.root)
        if problem:
            yield f'{mutant}: {problem}'


if __name__ == '__main__':
    sys.exit(lint.main([
        each_c_file_is_built,
        each_core_file_has_a_mutant,
        each_mutant_fits_its_file,
    ]))
