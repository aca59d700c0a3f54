#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""docs/ownership.md has the decisions that the core makes.

usage: test_decisions.py PROGRAM ROOT [--list]     PROGRAM prints them
       test_decisions.py PROGRAM ROOT --write      put them into the document
"""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.append(os.path.join(TESTS, 'support'))

import tap  # noqa: E402, the path comes first

BEGIN, END = '<!-- decisions -->\n', '<!-- end of decisions -->\n'
PLACE = re.compile(f'(?s)(?<={BEGIN})(.*?)(?={END})')


def document():
    return os.path.join(sys.argv[2], 'docs', 'ownership.md')


def written():
    with open(document(), encoding='utf-8') as file:
        return file.read()


def printed():
    return subprocess.run([sys.argv[1]], check=True, stdout=subprocess.PIPE, text=True).stdout


def the_document_has_what_the_core_decides():
    places = PLACE.findall(written())
    if len(places) != 1:
        raise tap.Failed(f'{len(places)} places between {BEGIN.strip()} and {END.strip()}')
    decided, said = printed().splitlines(), places[0].splitlines()
    tap.check([f'only decided: {line}' for line in decided if line not in said] +
              [f'only said: {line}' for line in said if line not in decided] +
              (['in another order'] if sorted(decided) == sorted(said) and decided != said else []))


def main():
    if sys.argv[3:] != ['--write']:
        case = the_document_has_what_the_core_decides
        return tap.main([(case.__name__, case)], sys.argv[3:])
    text, table = written(), printed()
    with open(document(), 'w', encoding='utf-8') as file:
        file.write(PLACE.sub(lambda _: table, text))
    return 0


if __name__ == '__main__':
    sys.exit(main())
