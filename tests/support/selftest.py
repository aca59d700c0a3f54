#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What tests and counts has itself to fail when it should: ROOT FIXTURE."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile

import check
import tap

ROOT, FIXTURE = sys.argv[1:3]


def fixture(*arguments):
    """The fixture's end as meson's log would have it."""
    answer = subprocess.run([FIXTURE, *arguments], check=False, text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return {'stdout': answer.stdout, 'stderr': answer.stderr, 'returncode': answer.returncode,
            'result': 'OK' if answer.returncode == 0 else 'ERROR'}


def counted(record, protocol='tap', **run):
    """What ./check adds for a program that ended like this, and what it prints."""
    totals, printed = check.Totals(), io.StringIO()
    with contextlib.redirect_stdout(printed):
        check.count_test(check.Run('run', **run), {'name': 'fixture', 'protocol': protocol}, record,
                         totals)
    return str(totals), printed.getvalue()


def expect(found, wanted):
    if found != wanted:
        raise tap.Failed(f'{found}\nwanted: {wanted}')


def state_of(case):
    cases = tap.parse(fixture('--only', case)['stdout'])
    return [found.state for found in cases]


def a_case_that_passes_passes():
    expect(state_of('passes'), ['passed', 'skipped'])


def a_case_that_fails_fails():
    expect(state_of('fails'), ['failed'])


def a_skip_is_a_skip_with_its_reason():
    cases = tap.parse(fixture('--only', 'skips')['stdout'])
    expect([(case.state, case.notes) for case in cases], [('skipped', ['no camera'])])


def a_descriptor_left_open_fails_its_case():
    expect(state_of('leaks_a_descriptor'), ['failed'])


def a_shared_mapping_left_behind_fails_its_case():
    expect(state_of('leaks_a_shared_mapping'), ['failed'])


def what_a_case_says_it_keeps_is_no_leak():
    expect(state_of('keeps_a_shared_mapping'), ['passed'])


def a_child_that_fails_prints_no_case():
    expect(state_of('has_a_child_that_fails'), ['passed'])


def a_program_names_its_cases():
    names = fixture('--list')['stdout'].split()
    expect((names[0], names[-1], len(names)), ('passes', 'dies', 9))


def a_pattern_that_matches_nothing_is_an_error():
    expect(fixture('--only', 'nothing*')['returncode'], 2)


def a_crash_fails_its_case_and_keeps_those_before():
    expect(counted(fixture())[0], '3 passed, 4 failed, 2 skipped')


def a_crash_before_the_plan_is_a_failure():
    expect(counted(fixture('die-before-the-plan'))[0], '0 passed, 1 failed')


def a_program_without_a_case_is_a_failure():
    expect(counted({'stdout': '', 'result': 'SKIP', 'returncode': 0})[0], '0 passed, 1 failed')


def a_status_after_passed_cases_is_a_failure():
    record = {'stdout': '1..1\nok 1 - passes\n', 'result': 'ERROR', 'returncode': 99}
    expect(counted(record)[0], '1 passed, 1 failed')


def a_missing_plan_is_a_failure():
    record = {'stdout': 'ok 1 - passes\n', 'result': 'ERROR', 'returncode': 0}
    expect(counted(record)[0], '1 passed, 1 failed')


def a_bail_out_is_a_failure():
    record = {'stdout': '1..1\nok 1 - passes\nBail out! enough\n', 'result': 'ERROR',
              'returncode': 0}
    expect(counted(record)[0], '1 passed, 1 failed')


def a_test_without_tap_is_one_case():
    expect(counted({'stdout': '', 'result': 'FAIL', 'returncode': 1}, 'exitcode')[0],
           '0 passed, 1 failed')


def a_skip_on_the_board_is_a_failure():
    expect(counted(fixture('--only', 'skips'), skip_fails=True)[0], '0 passed, 1 failed')


def a_failure_shows_what_the_case_printed():
    printed = counted(fixture('--only', 'fails'))[1]
    tap.check(f'not shown: {text}\n{printed}' for text in
              ('FAIL run fixture: fails', 'difference at offset 2') if text not in printed)


PROJECT = '''# SPDX-License-Identifier: BSD-3-Clause
project('small', 'c')
test('test_small', executable('test_small', 'tests/unit/test_small.c', 'small.c'), suite: 'unit')
'''
SMALL = '''int small(int a);
int small(int a)
{
	if (a > 2)
		return 1;
	return 0;
}
'''
TEST = '''int small(int a);
int main(void)
{
	return !(small(9) == 1 && small(0) == 0);
}
'''
MUTANTS = '''
file small.c
test test_small
why  noticed
-		return 1;
+		return 2;

file small.c
test *
why  small(2) is not tested
-	if (a > 2)
+	if (a >= 2)

file small.c
test test_small
why  gone
-	no such line
'''
OPTIONS = "option('tools', type: 'boolean')\noption('samples', type: 'boolean')\n"


def a_mutant_that_survives_is_a_failure_and_so_is_one_that_is_gone():
    with tempfile.TemporaryDirectory(prefix='small.') as root:
        for folder in ('tests/mutants', 'tests/support', 'tests/lint'):
            shutil.copytree(f'{ROOT}/{folder}', f'{root}/{folder}',
                            ignore=shutil.ignore_patterns('*.list', '__pycache__'))
        for name, text in {'meson.build': PROJECT, 'meson_options.txt': OPTIONS, 'small.c': SMALL,
                           'tests/unit/test_small.c': TEST,
                           'tests/mutants/small.list': MUTANTS}.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
        answer = subprocess.run([sys.executable, f'{root}/tests/mutants/run.py'], check=False,
                                text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)
        with open(os.path.join(root, 'small.c'), encoding='utf-8') as file:
            expect(file.read(), SMALL)
    expect((answer.returncode, answer.stdout.splitlines()[-1]), (1, '1 passed, 2 failed'))
    tap.check([] if 'small(2) is not tested: survived test_small' in answer.stdout
              else [answer.stdout])


if __name__ == '__main__':
    CASES = [(name, value) for name, value in list(globals().items())
             if name.startswith(('a_', 'what_')) and callable(value)]
    sys.exit(tap.main(CASES, sys.argv[3:]))
