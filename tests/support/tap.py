# SPDX-License-Identifier: BSD-3-Clause
"""TAP, read and written."""

import fnmatch
import re
import sys
import traceback

CASE = re.compile(r'(?P<not>not )?ok\b\s*(?P<number>\d+)?\s*(?:-\s*)?(?P<name>[^#]*)'
                  r'(?:#\s*(?P<directive>\w+)\s*(?P<reason>.*))?$')
PLAN = re.compile(r'1\.\.(\d+)\s*(?:#\s*skip\b\s*(?P<reason>.*))?$', re.I)


class Case:
    def __init__(self, name, state, notes):
        self.name = name
        self.state = state      # 'passed', 'failed', 'skipped'
        self.notes = notes      # the lines between the case before and this one


def parse(text):
    """The cases of a program's output, with one more for what it promised and didn't do."""
    cases, notes = [], []
    planned = bail = None
    for line in text.splitlines():
        plan, case = PLAN.match(line), CASE.match(line)
        if plan:
            planned = int(plan[1])
            if planned == 0 and plan['reason']:
                cases.append(Case('all', 'skipped', [plan['reason']]))
        elif case:
            state = 'failed' if case['not'] else 'passed'
            directive = (case['directive'] or '').upper()
            if directive.startswith('SKIP') and not case['not']:
                state = 'skipped'
                notes.append(case['reason'])
            name = case['name'].strip() or f'case {case["number"] or len(cases) + 1}'
            cases.append(Case(name, state, notes))
            notes = []
        elif line.startswith('Bail out!'):
            bail = line
        else:
            notes.append(line)
    if planned is None and cases:
        cases.append(Case('the plan', 'failed', ['no plan was printed'] + notes))
    for number in range(len(cases), planned or 0):
        cases.append(Case(f'case {number + 1}', 'failed', ['it never ran'] + notes))
        notes = []
    if bail:
        cases.append(Case('the program', 'failed', [bail]))
    return cases


class Failed(Exception):
    """A case's verdict; the text may have several lines."""


def check(complaints):
    """End the running case as failed when there are complaints."""
    complaints = list(complaints)
    if complaints:
        raise Failed('\n'.join(complaints))


def main(cases, arguments):
    """Run named cases, (name, function) each; answers the exit status.

    --list and --only PATTERN as in shm_test.h.
    """
    if '--only' in arguments:
        pattern = arguments[arguments.index('--only') + 1]
        cases = [case for case in cases if fnmatch.fnmatch(case[0], pattern)]
        if not cases:
            print(f'no case matches {pattern}', file=sys.stderr)
            return 2
    if '--list' in arguments:
        for name, _ in cases:
            print(name)
        return 0
    print(f'1..{len(cases)}')
    status = 0
    for number, (name, function) in enumerate(cases, 1):
        try:
            function()
            print(f'ok {number} - {name}')
        except Exception as failure:        # a lint that breaks is a lint that fails
            text = str(failure) if isinstance(failure, Failed) else traceback.format_exc()
            for line in text.splitlines():
                print(f'# {line}')
            print(f'not ok {number} - {name}')
            status = 1
        sys.stdout.flush()
    return status
