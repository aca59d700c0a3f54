#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Headers, version maps and built libraries name the same functions: ROOT built=PATH..."""

import os
import re
import subprocess
import sys

import tree as lint


def libraries(tree):
    """(folder, its map) of each library in the tree."""
    folders = ['libshm'] if tree.public_headers('libshm') else []
    folders += sorted({header.split('/include/')[0] for header in tree.public_headers()
                       if header.startswith('interop/')})
    for folder in folders:
        adapter = folder.partition('/')[2]
        yield folder, f'{folder}/libshm{"-" + adapter if adapter else ""}.map'


def exported(tree, path):
    """What a map's global sections list."""
    text = lint.COMMENT.sub(' ', re.sub(r'#[^\n]*', ' ', tree.text(path)))
    names = []
    for section in re.findall(r'\bglobal:(.*?)(?:\blocal:|\})', text, re.S):
        names += re.findall(r'[^\s;]+', section)
    return names


def declared(tree, folder):
    return {function.name for header in tree.public_headers(folder)
            for function in lint.functions(tree, header) if not function.inline}


def differences(left, right, left_title, right_title):
    for name in sorted(left - right):
        yield f'{name}: in {left_title}, not in {right_title}'
    for name in sorted(right - left):
        yield f'{name}: in {right_title}, not in {left_title}'


def each_library_has_a_map(tree):
    found = False
    for folder, path in libraries(tree):
        found = True
        if not os.path.exists(tree.path(path)):
            yield f'{folder}: there is no {path}'
    if not found:
        yield 'there is no public header'


def maps_spell_each_name_out_once(tree):
    for _, path in libraries(tree):
        if os.path.exists(tree.path(path)):
            names = exported(tree, path)
            yield from [f'{path}: {name}' for name in names if not re.fullmatch(r'\w+', name)]
            yield from [f'{path}: {name} twice' for name in {*names} if names.count(name) > 1]
            if not re.search(r'\blocal:\s*\*;', tree.text(path)):
                yield f'{path}: no "local: *;"'


def maps_list_what_headers_declare(tree):
    for folder, path in libraries(tree):
        names = set(exported(tree, path)) if os.path.exists(tree.path(path)) else set()
        yield from differences(declared(tree, folder), names, f'the headers of {folder}', path)


def public_names_begin_with_metal_shm(tree):
    for folder, _ in libraries(tree):
        for name in sorted(declared(tree, folder)):
            if not name.startswith('metal_shm_'):
                yield f'{folder}: {name}'


def libraries_export_what_maps_list(tree):
    maps = {os.path.basename(path)[:-len('.map')]: path for _, path in libraries(tree)}
    for built in lint.option('built'):
        title = os.path.basename(built).split('.so')[0]
        output = subprocess.run(['nm', '-D', '--defined-only', built], check=True, text=True,
                                stdout=subprocess.PIPE).stdout
        symbols = [line.split()[-2:] for line in output.splitlines()]
        names = {name.split('@')[0] for kind, name in symbols if kind != 'A'}
        if title not in maps:
            yield f'{built}: no map for it'
        else:
            yield from differences(set(exported(tree, maps[title])), names, maps[title], title)


if __name__ == '__main__':
    sys.exit(lint.main([
        each_library_has_a_map,
        maps_spell_each_name_out_once,
        maps_list_what_headers_declare,
        public_names_begin_with_metal_shm,
        libraries_export_what_maps_list,
    ]))
