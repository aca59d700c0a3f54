#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What other programs say of the sources: clang-format, clang-tidy, shellcheck, Python.

ROOT build=FOLDER [files=PATTERN]: the folder has compile_commands.json; without it nothing is
analysed. One's own files, before a commit:

    tests/lint/tools.py . build=build/check files='interop/drm/*' --only 'c*'
"""

import fnmatch
import functools
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

import tree as lint

FACTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'facts.h')
DEFINES = re.compile(r'^int (metal_shm_set_error|shm__error)\b', re.M)


def asked(names):
    patterns = lint.option('files') or ['*']
    return [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def run(tree, argv):
    """The status of a program and what it prints."""
    answer = subprocess.run(argv, cwd=tree.root, check=False, text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return answer.returncode, answer.stdout


def c_is_formatted(tree):
    def unformatted(name):
        status, _ = run(tree, ['clang-format', '--dry-run', '--Werror', name])
        return [f'{name}: mend it with clang-format -i'] if status else []

    return lint.parallel(unformatted, asked(tree.c_files()))


def commands(tree):
    """How the build compiles each of the tree's files: folder and words."""
    found = {}
    for folder in lint.option('build'):
        path = os.path.join(folder, 'compile_commands.json')
        with open(path, encoding='utf-8') as file:
            for entry in json.load(file):
                full = os.path.normpath(os.path.join(entry['directory'], entry['file']))
                name = os.path.relpath(full, tree.root)
                if name.endswith('.c') and not name.startswith('..'):
                    # a file of the core is compiled for firmware too, after
                    found.setdefault(name, (entry['directory'], shlex.split(entry['command'])))
    return found


@functools.cache
def analyser(root):
    """What else a verdict depends on: the program and its configuration."""
    version = subprocess.run(['clang-tidy', '--version'], check=False,
                             stdout=subprocess.PIPE).stdout
    return b''.join([version, *(open(path, 'rb').read() for path in
                                (os.path.join(root, '.clang-tidy'), FACTS)
                                if os.path.exists(path))])


def clean_mark(tree, folder, words):
    """The path of an empty file that is there once clang-tidy had nothing to say of what the compiler
    sees of a source, comments included, since some are addressed to it. None: it can't be told."""
    words = [word for word in words[1:] if word != '-MD']
    for option in ('-o', '-MF', '-MQ'):     # what would be written
        while option in words:
            del words[words.index(option):words.index(option) + 2]
    seen = subprocess.run(['clang', *words, '-E', '-C', '-Wno-unknown-warning-option'], cwd=folder,
                          check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    if seen.returncode:
        return None
    name = hashlib.sha256(b'\0'.join([analyser(tree.root), ' '.join(words).encode(), seen.stdout]))
    home = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    cache = os.environ.get('LIBSHM_CACHE') or os.path.join(home, 'libshm')
    return os.path.join(cache, 'clang-tidy', name.hexdigest())


def clang_tidy_finds_nothing(tree):
    build = lint.option('build')

    def place(line):
        path, _, rest = line.partition(':')
        return os.path.relpath(os.path.join(build[0], path), tree.root) + ':' + rest

    found = commands(tree)

    def findings(name):
        mark = clean_mark(tree, *found[name])
        if mark and os.path.exists(mark):
            return []
        facts = [] if DEFINES.search(tree.text(name)) else [f'--extra-arg-before=-include{FACTS}']
        status, output = run(tree, ['clang-tidy', '--quiet', '-p', database, *facts,
                                    '--extra-arg=-Wno-unknown-warning-option', name])
        # The way there is long: "clang-tidy -p build/check FILE" shows it.
        errors = [place(line) for line in output.splitlines() if ' error: ' in line]
        if mark and not errors and not status:
            os.makedirs(os.path.dirname(mark), exist_ok=True)
            with open(mark, 'wb'):
                pass
        return errors or ([output] if status else [])

    # Each file once: of a second command for it clang-tidy 14 says things that aren't so.
    with tempfile.TemporaryDirectory() as database:
        with open(os.path.join(database, 'compile_commands.json'), 'w', encoding='utf-8') as file:
            json.dump([{'directory': folder, 'file': tree.path(name), 'arguments': words}
                       for name, (folder, words) in found.items()], file)
        yield from lint.parallel(findings, asked(sorted(found)))


def scripts(tree, *interpreters):
    for name in tree.files():
        with open(tree.path(name), 'rb') as file:
            first = file.readline(80).decode(errors='replace').split()
        if first and first[0].startswith('#!') and \
                os.path.basename(first[-1]).startswith(interpreters):
            yield name


def shellcheck_finds_nothing(tree):
    def findings(name):
        status, output = run(tree, ['shellcheck', '--format=gcc', name])
        return [output] if status else []

    return lint.parallel(findings, scripts(tree, 'sh', 'bash', 'dash'))


def python_compiles(tree):
    for name in sorted({*tree.files('*.py'), *scripts(tree, 'python')}):
        try:
            compile(tree.text(name), name, 'exec')
        except SyntaxError as error:
            yield f'{name}:{error.lineno}: {error.msg}'


if __name__ == '__main__':
    sys.exit(lint.main([
        c_is_formatted,
        clang_tidy_finds_nothing,
        shellcheck_finds_nothing,
        python_compiles,
    ]))
