#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Feed the protocol anything at all: fuzz.py ROOT [seconds=N] [keep] [--list].

Without seconds it is the same each time: the inputs of corpus/, and as many made of them by a fixed
seed. With them the fuzzer goes on for that long on each program; keep then writes what it found worth
keeping back to corpus/, in as few inputs as reach as much.
"""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = sys.argv[1]
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
import tap      # noqa: E402

MADE = 20000    # inputs that the fixed seed makes
LONGEST = {'record': 504, 'session': 256}
SANITIZERS = 'fuzzer,address,undefined'


def sources():
    folder = os.path.join(ROOT, 'libshm', 'protocol')
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith('.c'))


def corpus_file(name):
    return os.path.join(HERE, 'corpus', name + '.txt')


def kept(name):
    """The inputs of a corpus file: one a line, in hexadecimal, behind its comments."""
    with open(corpus_file(name), encoding='ascii') as file:
        return [bytes.fromhex(line) for line in file if not line.startswith('#')]


def unpack(name, folder):
    os.makedirs(folder)
    for number, data in enumerate(kept(name)):
        with open(os.path.join(folder, f'{number:04}'), 'wb') as file:
            file.write(data)


def build(name, work):
    program = os.path.join(work, 'fuzz')
    subprocess.run(['clang', '-g', '-O1', f'-fsanitize={SANITIZERS}',
                    '-fno-sanitize-recover=undefined', '-I', os.path.join(ROOT, 'libshm', 'protocol'),
                    os.path.join(HERE, f'fuzz_{name}.c'), *sources(), '-o', program], check=True)
    return program


def run(work, *arguments):
    answer = subprocess.run([os.path.join(work, 'fuzz'), f'-artifact_prefix={work}/', *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            errors='replace', check=False)
    if answer.returncode:
        found = [entry for entry in os.listdir(work)
                 if entry.split('-')[0] in ('crash', 'leak', 'timeout', 'oom')]
        inputs = []
        for entry in found:
            with open(os.path.join(work, entry), 'rb') as file:
                inputs.append('input: ' + file.read().hex())
        raise tap.Failed('\n'.join(answer.stdout.splitlines()[-60:] + inputs))
    return answer.stdout


def tell(said):
    """How much was tried, and what of it was reached."""
    reached = [line for line in said.splitlines() if ' cov: ' in line]
    done = [line for line in said.splitlines() if line.startswith('Done ')]
    for line in reached[-1:] + done:
        print(f'# {line.strip()}')


def write_back(name, work, corpus):
    """What the fuzzer found, in as few inputs as reach as much."""
    least = os.path.join(work, 'least')
    os.makedirs(least)
    run(work, '-merge=1', f'-max_len={LONGEST[name]}', least, corpus)
    inputs = []
    for entry in os.listdir(least):
        with open(os.path.join(least, entry), 'rb') as file:
            inputs.append(file.read().hex())
    with open(corpus_file(name), encoding='ascii') as file:
        comments = [line for line in file if line.startswith('#')]
    with open(corpus_file(name), 'w', encoding='ascii') as file:
        file.writelines(comments)
        file.writelines(text + '\n' for text in sorted(inputs, key=lambda text: (len(text), text)))


def fuzz(name):
    seconds = next((argument[8:] for argument in sys.argv if argument.startswith('seconds=')), None)
    with tempfile.TemporaryDirectory() as work:
        corpus = os.path.join(work, 'corpus')
        unpack(name, corpus)
        build(name, work)
        arguments = [f'-max_len={LONGEST[name]}', corpus]
        if not seconds:
            run(work, '-seed=1', f'-runs={len(kept(name)) + MADE}', *arguments)
            return
        tell(run(work, f'-max_total_time={seconds}', '-reduce_inputs=1', *arguments))
        if 'keep' in sys.argv:
            write_back(name, work, corpus)


if __name__ == '__main__':
    sys.exit(tap.main([(f'nothing_is_found_in_a_{name}', lambda name=name: fuzz(name))
                       for name in LONGEST], sys.argv[2:]))
