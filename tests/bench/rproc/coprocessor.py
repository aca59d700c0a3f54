# SPDX-License-Identifier: BSD-3-Clause
"""In the guest: what the program coprocessor finds, and the system calls that it makes."""

import collections
import os
import re
import subprocess
import tempfile

ROUND_TRIPS = 20            # of a turn, in coprocessor.c
MARK = 'CLOCK_PROCESS_CPUTIME_ID'
CALL = re.compile(r'(\w+)\(')


def measure(folder, rounds):
    """Nanoseconds and the process' own CPU time, by name."""
    done = subprocess.run([os.path.join(folder, 'coprocessor'), str(rounds)], check=True, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    rows = [line.split() for line in done.stdout.splitlines()]
    return {name: {'ns': int(wall), 'cpu': int(cpu)} for name, wall, cpu in rows}


def calls_of_hand_overs(folder):
    """How often each system call is made in ROUND_TRIPS hand-overs of a known buffer and back."""
    with tempfile.NamedTemporaryFile('r') as trace:
        subprocess.run(['strace', '-o', trace.name, os.path.join(folder, 'coprocessor'), '1'],
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        lines = trace.read().splitlines()
    marks = [number for number, line in enumerate(lines) if MARK in line]
    # two for each job, of which this is the first
    names = (CALL.match(line) for line in lines[marks[0] + 1:marks[1]])
    return collections.Counter(name[1] for name in names if name)
