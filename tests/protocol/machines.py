#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The protocol on a machine whose bytes go the other way: s390x, under qemu-user."""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = sys.argv[1]
sys.path[:0] = [os.path.join(ROOT, 'tests', 'support'), HERE]
import fuzz     # noqa: E402
import tap      # noqa: E402

COMPILER, EMULATOR = 's390x-linux-gnu-gcc', 'qemu-s390x'
WARNINGS = ['-Wall', '-Wextra', '-Wconversion', '-Werror']


def foreign(work, *programs):
    """Compile programs of this folder for the other machine, with the protocol."""
    program = os.path.join(work, 'program')
    subprocess.run([COMPILER, '-std=gnu11', '-O2', '-static', *WARNINGS,
                    '-I', os.path.join(ROOT, 'libshm', 'protocol'),
                    *[os.path.join(HERE, name) for name in programs], *fuzz.sources(),
                    '-o', program], check=True)
    return [EMULATOR, program]


def run(command):
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            errors='replace', check=False)
    if answer.returncode:
        raise tap.Failed('\n'.join(answer.stdout.splitlines()[-40:] or [str(answer)]))
    return answer.stdout


def its_bytes_really_go_the_other_way():
    with tempfile.TemporaryDirectory() as work:
        source = os.path.join(work, 'order.c')
        with open(source, 'w', encoding='ascii') as file:
            file.write('int main(void) { const int one = 1; return *(const char *)&one; }\n')
        program = os.path.join(work, 'order')
        subprocess.run([COMPILER, '-static', source, '-o', program], check=True)
        run([EMULATOR, program])


def vectors_are_the_same_bytes():
    with tempfile.TemporaryDirectory() as work:
        run(foreign(work, 'vectors.c') + [os.path.join(HERE, 'vectors')])


def kept_inputs(name):
    with tempfile.TemporaryDirectory() as work:
        text = run(foreign(work, f'fuzz_{name}.c', 'replay.c') + [fuzz.corpus_file(name)])
        if f'# {len(fuzz.kept(name))} inputs' not in text:
            raise tap.Failed(text)


def kept_inputs_find_nothing_in_a_record():
    kept_inputs('record')


def kept_inputs_find_nothing_in_a_session():
    kept_inputs('session')


if __name__ == '__main__':
    sys.exit(tap.main([(case.__name__, case) for case in (
        its_bytes_really_go_the_other_way,
        vectors_are_the_same_bytes,
        kept_inputs_find_nothing_in_a_record,
        kept_inputs_find_nothing_in_a_session,
    )], sys.argv[2:]))
