# SPDX-License-Identifier: BSD-3-Clause
"""The lists of mutants.

A mutant is a small mistake that a unit test must notice. tests/mutants/*.list hold them; a record
ends at a blank line, and lines that begin with '#' say something to readers:

    file libshm/core/range.c
    test test_range
    why  the byte after the range belongs to someone else
    -	if (offset > range->length)
    +	if (offset >= range->length)

file   the file that is changed
test   the programs in tests/unit of which one must fail; "test *" stands for all of them
why    what would go wrong for a user
-, +   whole lines, exactly as in the file behind the sign, that occur there once, and what they
       become; no '+' line: they go
"""

import glob
import os


class Mutant:
    def __init__(self, where):
        self.where = where
        self.file, self.why, self.tests = '', '', []
        self.old, self.new = [], []

    def __str__(self):
        return f'{self.where} {self.file}: {self.why}'

    def take(self, line):
        if line[0] in '-+':
            (self.old if line[0] == '-' else self.new).append(line[1:])
            return
        key, _, value = line.partition(' ')
        if key == 'file':
            self.file = value.strip()
        elif key == 'why':
            self.why = value.strip()
        elif key == 'test':
            self.tests += value.split()
        else:
            raise ValueError(f'{self.where}: "{key}" is none of file, test, why, -, +')

    def problem(self, root):
        """Why it can't be applied, or None."""
        if not (self.file and self.why and self.tests and self.old):
            return 'it wants file, test, why and a line with -'
        if self.old == self.new:
            return 'it changes nothing'
        try:
            with open(os.path.join(root, self.file), encoding='utf-8') as file:
                lines = file.read().split('\n')
        except FileNotFoundError:
            return 'there is no such file'
        found = len(self._places(lines))
        if found != 1:
            return f'its lines occur {found} times, not once'
        for test in self.tests:
            if test != '*' and not os.path.exists(f'{root}/tests/unit/{test}.c'):
                return f'there is no tests/unit/{test}.c'
        return None

    def _places(self, lines):
        length = len(self.old)
        return [index for index in range(len(lines) - length + 1)
                if lines[index:index + length] == self.old]

    def apply(self, root):
        """Change the file; answers its text from before."""
        path = os.path.join(root, self.file)
        with open(path, encoding='utf-8') as file:
            text = file.read()
        lines = text.split('\n')
        place = self._places(lines)[0]
        lines[place:place + len(self.old)] = self.new
        with open(path, 'w', encoding='utf-8') as file:
            file.write('\n'.join(lines))
        return text


def read(path, title):
    mutants, current = [], None
    with open(path, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip('\n')
            if not line.strip():
                current = None
            elif not line.startswith('#'):
                if current is None:
                    current = Mutant(f'{title}:{number}')
                    mutants.append(current)
                current.take(line)
    return mutants


def read_all(root):
    """The mutants of a tree, list by list."""
    paths = sorted(glob.glob(os.path.join(root, 'tests', 'mutants', '*.list')))
    return [mutant for path in paths for mutant in read(path, os.path.basename(path))]
