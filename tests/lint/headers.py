#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each public header compiles by itself: ROOT cc=COMMAND cxx=COMMAND adapter=NAME..."""

import shlex
import subprocess
import sys

import tree as lint

WARNINGS = ['-Wall', '-Wextra', '-Wconversion', '-pedantic', '-Werror', '-fsyntax-only']


def foreign_flags():
    flags = []
    for package in ('libdrm', 'OpenCL'):
        answer = subprocess.run(['pkg-config', '--cflags', package], check=False, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        flags += shlex.split(answer.stdout)
    return flags


def compile_alone(tree, compiler, arguments):
    adapters = lint.option('adapter')
    headers = tree.platform_headers() + [
        header for header in tree.public_headers()
        if header.startswith('libshm/') or header.split('/')[1] in adapters]
    folders = {header.rsplit('/shm/', 1)[0] for header in headers}
    flags = [f'-I{tree.path(folder)}' for folder in sorted(folders)] + foreign_flags()

    def complaints(header):
        source = f'#include <shm/{header.rsplit("/", 1)[1]}>\n'
        # -pedantic wants a translation unit to hold something.
        source += 'extern int something;\n'
        answer = subprocess.run(shlex.split(compiler) + arguments + WARNINGS + flags + ['-'],
                                input=source, check=False, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return [f'{header}:\n{answer.stdout}'] if answer.returncode else []

    if not headers:
        yield 'there is no public header'
    yield from lint.parallel(complaints, headers)


def each_header_compiles_alone_as_c11(tree):
    return compile_alone(tree, lint.option('cc')[0], ['-std=c11', '-x', 'c'])


def each_header_compiles_alone_as_cxx17(tree):
    return compile_alone(tree, lint.option('cxx')[0], ['-std=c++17', '-x', 'c++'])


if __name__ == '__main__':
    sys.exit(lint.main([each_header_compiles_alone_as_c11, each_header_compiles_alone_as_cxx17]))
