#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What each file's text keeps to: licence line, sizes, nothing of one machine, nothing left open."""

import os
import re
import sys

import tree as lint

SOURCES = ('*.c', '*.h', '*.cl', '*.S', '*.ld', '*.py', '*.sh', '*.map', '*.config', '*.list',
           '*.supp', '*meson.build', 'meson_options.txt', '*Makefile', '*Kbuild', '*.clang-format',
           '*.clang-tidy', '.editorconfig', '.gitignore')
LICENCE = re.compile(r'SPDX-License-Identifier: (\S+)')
# The first folder of paths that mean the same everywhere.
COMMON = {'bin', 'boot', 'dev', 'etc', 'lib', 'lib64', 'opt', 'proc', 'run', 'sbin', 'sys', 'tmp',
          'usr', 'var'}
OPEN = re.compile(r'\b(%s)\b(?!\(?\s*#\d)' % '|'.join(['TO' + 'DO', 'FIX' + 'ME', 'X' * 3,
                                                          'HA' + 'CK']))
TEXT = SOURCES + ('*.md', '*.txt', '*.json', '*.conf')


def is_script(tree, name):
    if '.' in os.path.basename(name):
        return False
    with open(tree.path(name), 'rb') as file:
        return file.read(2) == b'#!'


def sources(tree):
    named = set(tree.files(*SOURCES))
    return [name for name in tree.files() if name in named or is_script(tree, name)]


def each_source_begins_with_its_licence(tree):
    for name in sources(tree):
        lines = tree.lines(name)[:2]
        first = ''.join(lines[1:2] if lines and lines[0].startswith('#!') else lines[:1])
        if not LICENCE.search(first):
            yield name


def kernel_modules_alone_are_gpl(tree):
    for name in sources(tree):
        found = LICENCE.search('\n'.join(tree.lines(name)[:2]))
        wanted = 'GPL-2.0-only' if 'kmod' in name.split('/') else 'BSD-3-Clause'
        if found and found[1] != wanted:
            yield f'{name}: {found[1]}, not {wanted}'


def each_licence_has_its_text(tree):
    named = {found[1] for name in sources(tree)
             for found in [LICENCE.search('\n'.join(tree.lines(name)[:2]))] if found}
    for licence in sorted(named):
        if not os.path.exists(tree.path(f'LICENSES/{licence}.txt')):
            yield f'LICENSES/{licence}.txt'


def no_file_names_a_path_of_one_machine(tree):
    places = {os.path.expanduser('~'), tree.root}
    places |= {'/' + tree.root.split('/')[1]} if tree.root.split('/')[1] not in COMMON else set()
    places = {re.escape(place) for place in places if place.count('/') and place != '/'}
    pattern = re.compile(r'(?<![\w.$}/*])(%s|/home/\w+|/Users/\w+|/root)(?=[/"\s])' %
                         '|'.join(sorted(places)))
    for name in sorted({*tree.files(*TEXT), *sources(tree)}):
        for number, line in enumerate(tree.lines(name), 1):
            found = pattern.search(line)
            if found:
                yield f'{name}:{number}: {found[1]}'


def nothing_is_left_open_without_an_issue(tree):
    for name in sources(tree):
        for number, line in enumerate(tree.lines(name), 1):
            if OPEN.search(line):
                yield f'{name}:{number}: {line.strip()}'


def longer_than(tree, limit, names):
    for name in names:
        length = len(tree.lines(name))
        if length > limit:
            yield f'{name}: {length} lines, not more than {limit}'


def c_files_have_at_most_500_lines(tree):
    return longer_than(tree, 500, tree.c_files())


def samples_have_less_than_200_lines(tree):
    return longer_than(tree, 199, tree.files('samples/*.c'))


def readme_has_at_most_100_lines(tree):
    return longer_than(tree, 100, tree.files('README.md'))


def lines_end_in_no_blank(tree):
    for name in sources(tree):
        text = tree.text(name)
        if text and not text.endswith('\n'):
            yield f'{name}: no newline at the end'
        for number, line in enumerate(text.split('\n'), 1):
            if line != line.rstrip():
                yield f'{name}:{number}'


if __name__ == '__main__':
    sys.exit(lint.main([
        each_source_begins_with_its_licence,
        kernel_modules_alone_are_gpl,
        each_licence_has_its_text,
        no_file_names_a_path_of_one_machine,
        nothing_is_left_open_without_an_issue,
        c_files_have_at_most_500_lines,
        samples_have_less_than_200_lines,
        readme_has_at_most_100_lines,
        lines_end_in_no_blank,
    ]))
