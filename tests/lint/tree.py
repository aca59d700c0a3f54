# SPDX-License-Identifier: BSD-3-Clause
"""The tree that a lint looks at: its files, their text, and what public headers declare."""

import concurrent.futures
import fnmatch
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                'support'))
import tap      # noqa: E402

COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*', re.S)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)


class Tree:
    """Paths are relative to the root, with forward slashes."""

    def __init__(self, root):
        self.root = os.path.abspath(root)
        self._files = None

    def path(self, name):
        return os.path.join(self.root, name)

    def files(self, *patterns):
        """Tracked files and those that git would not ignore; all of them without git."""
        if self._files is None:
            self._files = self._listed() if os.path.exists(self.path('.git')) else self._walked()
        return [name for name in self._files
                if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]

    def _listed(self):
        output = subprocess.run(['git', 'ls-files', '-coz', '--exclude-standard'], cwd=self.root,
                                check=True, stdout=subprocess.PIPE).stdout.decode()
        names = sorted(set(filter(None, output.split('\0'))))
        return [name for name in names if os.path.isfile(self.path(name))]

    def _walked(self):
        names = []
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if name not in ('.git', 'build', '__pycache__')]
            names += [os.path.relpath(os.path.join(folder, name), self.root) for name in files]
        return sorted(names)

    def text(self, name):
        with open(self.path(name), encoding='utf-8', errors='replace') as file:
            return file.read()

    def lines(self, name):
        return self.text(name).splitlines()

    def c_files(self):
        return self.files('*.c', '*.h')

    def code(self, name):
        """The text with comments blanked; lines keep their numbers."""
        return COMMENT.sub(lambda found: re.sub(r'[^\n]', ' ', found[0]), self.text(name))

    def includes(self, name):
        """(line number, '<' or '"', header) of each include."""
        code = self.code(name)
        return [(code.count('\n', 0, found.start()) + 1, found[1], found[2])
                for found in INCLUDE.finditer(code)]

    def public_headers(self, library=None):
        """Of one library ('libshm', 'interop/drm') or of all, by path."""
        folders = [library] if library else ['libshm', 'interop/*']
        return self.files(*[f'{folder}/include/shm/*.h' for folder in folders])


    def platform_headers(self):
        """Those of libshm on one system alone, and those for firmware, which no library exports."""
        return self.files('libshm/system/*/include/shm/*.h', 'interop/*/firmware/shm/*.h')


class Function:
    """A function that a header declares."""

    def __init__(self, header, line, doc, statement, name, parameters, inline):
        self.header, self.line, self.doc, self.name = header, line, doc, name
        self.inline = inline
        self.returns = ' '.join(statement[:statement.index(name)].split())
        self.parameters = [] if parameters.strip() in ('', 'void') else list(
            filter(None, map(parameter_name, split_top(parameters))))


def split_top(text):
    """Split at commas that stand in no parentheses."""
    parts, depth = [''], 0
    for char in text:
        depth += {'(': 1, ')': -1}.get(char, 0)
        if char == ',' and depth == 0:
            parts.append('')
        else:
            parts[-1] += char
    return parts


def parameter_name(text):
    pointer = re.search(r'\(\s*\*\s*(\w+)', text)
    if pointer:
        return pointer[1]
    names = re.findall(r'[A-Za-z_]\w*', re.sub(r'\[[^]]*\]', '', text))
    return names[-1] if names else None


def closing(text, opening):
    depth = 0
    for index in range(opening, len(text)):
        depth += {'(': 1, ')': -1}.get(text[index], 0)
        if depth == 0:
            return index
    return len(text)


def declared_function(statement):
    """(name, parameters) when a statement declares a function."""
    if statement.lstrip().startswith(('typedef', 'struct {', 'enum {')):
        return None
    for found in re.finditer(r'\b([a-z_]\w*)\s*\(', statement):
        if found[1] in ('__attribute__', '_Static_assert', '_Alignas'):
            continue
        opening = found.end() - 1
        if statement[opening + 1:].lstrip().startswith('*'):
            return None
        return found[1], statement[opening + 1:closing(statement, opening)]
    return None


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*|"(?:\\.|[^"\\])*"|\{|\}|;|.',
                   re.S | re.M)


def functions(tree, header):
    """The functions that a header declares or defines inline, with the comment before each."""
    text = re.sub(r'extern\s+"C"\s*\{', lambda found: re.sub(r'[^\n]', ' ', found[0]),
                  tree.text(header))
    found, statement, start, doc, last_doc, depth = [], '', 0, '', '', 0
    for token in TOKEN.finditer(text):
        part = token[0]
        if part.startswith(('/*', '//')):
            if not statement.strip():
                last_doc = part
            continue
        if part.lstrip(' \t').startswith('#') and len(part) > 1:
            continue
        if depth == 0 and not statement.strip() and not part.isspace():
            start, doc, last_doc = token.start(), last_doc, ''
        if part == '{':
            depth += 1
            function = declared_function(statement) if depth == 1 else None
            if function:
                found.append((start, doc, statement, function, True))
                statement = ''
            continue
        if part == '}':
            depth = max(0, depth - 1)
            continue
        if depth:
            continue
        if part == ';':
            function = declared_function(statement)
            if function:
                found.append((start, doc, statement, function, False))
            statement = ''
        else:
            statement += part
    return [Function(header, text.count('\n', 0, start) + 1, doc, statement, name, parameters,
                     inline)
            for start, doc, statement, (name, parameters), inline in found]


def option(name):
    """The values given as NAME=VALUE on the command line."""
    return [argument.split('=', 1)[1] for argument in sys.argv[2:]
            if argument.startswith(name + '=')]


def parallel(function, items):
    """The complaints of function(item) for each item, in order, on every processor."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for answers in pool.map(function, items):
            yield from answers


def main(cases):
    """Run a lint's cases, each a function of the tree: LINT ROOT [NAME=VALUE...] [--list]."""
    tree = Tree(sys.argv[1])
    return tap.main([(case.__name__, lambda case=case: tap.check(case(tree))) for case in cases],
                    sys.argv[2:])
