#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Apply each mutant to a copy of the tree: one of its tests must fail. ./check --mutants runs it.

    run.py [PATTERN]    only mutants whose list, file or reason contains the text

The tests run under the address and undefined-behaviour sanitizers, so a mistake that only they
notice is noticed. Ends with "N passed, N failed": a survivor is a failure, and so is a mutant that
doesn't compile or whose line is gone.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, 'tests', 'support'), os.path.join(ROOT, 'tests', 'lint')]
import mutants                  # noqa: E402
from progress import Progress   # noqa: E402
from tree import Tree           # noqa: E402

SETUP = ['-Dauto_features=enabled', '-Dtools=false', '-Dsamples=false', '-Dwerror=false',
         '-Db_sanitize=address,undefined', '-Doptimization=0']
PROCESSORS = os.cpu_count() or 1
TIME_LIMIT = 30     # seconds for a program; one that hangs has noticed, too


class Workplace:
    """A copy of the tree with a build folder."""

    def __init__(self, folder):
        self.root = os.path.join(folder, 'tree')
        self.build = os.path.join(folder, 'build')
        tree = Tree(ROOT)
        for name in tree.files():
            os.makedirs(os.path.dirname(os.path.join(self.root, name)), exist_ok=True)
            shutil.copy2(tree.path(name), os.path.join(self.root, name))
        self._run(['meson', 'setup', self.build, self.root, *SETUP])
        with open(os.path.join(self.build, 'meson-info', 'intro-tests.json'),
                  encoding='utf-8') as file:
            self.programs = {test['name']: test['cmd'] for test in json.load(file)
                             if any(suite.endswith(':unit') for suite in test['suite']) and
                             not any(suite.endswith(':long') for suite in test['suite'])}

    def _run(self, argv):
        answer = subprocess.run(argv, check=False, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if answer.returncode:
            raise RuntimeError(f'{" ".join(argv)}:\n{answer.stdout}')

    def compile(self, names, jobs):
        targets = [os.path.relpath(self.programs[name][0], self.build) for name in names]
        self._run(['ninja', '-C', self.build, '-j', str(jobs), *targets])

    def noisy(self, names):
        """Which programs fail with nothing changed: they would notice everything."""
        self.compile(names, PROCESSORS)
        return [name for name in names if self.notices(name)]

    def notices(self, name):
        environment = {**os.environ, 'UBSAN_OPTIONS': 'halt_on_error=1'}
        try:
            answer = subprocess.run(self.programs[name], check=False, env=environment,
                                    timeout=TIME_LIMIT, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return True
        return answer.returncode != 0

    def verdict(self, mutant):
        """None when a test noticed, else what is wrong."""
        problem = mutant.problem(self.root)
        if problem:
            return problem
        names = sorted(self.programs) if '*' in mutant.tests else mutant.tests
        unknown = [name for name in names if name not in self.programs]
        if unknown:
            return f'no unit test is called {unknown[0]}'
        before = mutant.apply(self.root)
        try:
            self.compile(names, 1)      # there are as many workplaces as processors
            return None if any(map(self.notices, names)) else 'survived ' + ', '.join(names)
        except RuntimeError as error:
            return str(error)
        finally:
            with open(os.path.join(self.root, mutant.file), 'w', encoding='utf-8') as file:
                file.write(before)


def work(workplace, waiting, verdicts, progress):
    while True:
        try:
            mutant = waiting.get_nowait()
        except queue.Empty:
            return
        progress.tell(f'{len(verdicts) + 1}: {mutant}')
        verdicts.append((mutant, workplace.verdict(mutant)))


def try_all(wanted, folder, progress):
    """(mutant, verdict) of each; what fails before any is tried is raised."""
    progress.tell('building without any')
    places = [Workplace(os.path.join(folder, str(number))) for number in range(PROCESSORS)]
    names = {name for mutant in wanted for name in mutant.tests}
    known = places[0].programs.keys()
    noisy = places[0].noisy(sorted(known if '*' in names else names & known))
    if noisy:
        raise RuntimeError(f'with nothing changed fails {", ".join(noisy)}')
    waiting, verdicts = queue.Queue(), []
    for mutant in wanted:
        waiting.put(mutant)
    workers = [threading.Thread(target=work, args=(place, waiting, verdicts, progress))
               for place in places]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return verdicts


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else ''
    wanted = [mutant for mutant in mutants.read_all(ROOT) if pattern in str(mutant)]
    verdicts, failed = [], []
    if not wanted:
        failed.append('there are no mutants')
    else:
        with tempfile.TemporaryDirectory(prefix='mutants.') as folder:
            with Progress(f'mutants of {len(wanted)}') as progress:
                try:
                    verdicts = try_all(wanted, folder, progress)
                except RuntimeError as error:
                    failed.append(str(error))
    failed += [f'{mutant}: {verdict}' for mutant, verdict in verdicts if verdict]
    if verdicts and len(verdicts) < len(wanted):
        failed.append(f'{len(wanted) - len(verdicts)} mutants were not tried')
    for text in failed:
        print(f'FAIL {text}')
    print(f'{sum(verdict is None for _, verdict in verdicts)} passed, {len(failed)} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
