#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What it costs to share memory with a coprocessor, beside messages.

usage: test_rproc_cost.py FOLDER [--list]     FOLDER has the program of tests/bench/rproc
"""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path[:0] = [os.path.join(TESTS, 'support'), os.path.join(TESTS, 'bench', 'rproc')]

import coprocessor  # noqa: E402, the path comes first
import tap          # noqa: E402

CHANNEL = {'write', 'read', 'ppoll'}
CLOCK = {'clock_gettime'}   # no system call where the clock is the processor's own


def a_hand_over_makes_no_system_call_but_the_channels():
    calls = coprocessor.calls_of_hand_overs(sys.argv[1])
    trips = coprocessor.ROUND_TRIPS
    few = trips // 2        # credit is granted now and then
    others = sum(n for name, n in calls.items() if name not in CHANNEL | CLOCK)
    # five times a second the core is looked at, so what comes with each hand-over is counted alone
    tap.check([f'{calls}'] if others >= trips or calls['write'] > trips + few or
              calls['read'] > 2 * trips + few or calls['ppoll'] > trips + few else [])


def the_sample_has_its_bytes_changed_in_place():
    coprocessor.measure(sys.argv[1], 1)     # which loads the modules
    build = sys.argv[1].partition('/tests/bench/')[0]
    done = subprocess.run([f'{build}/samples/07-coprocessor', 'board', 'board-odd.elf'], check=False,
                          text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    wanted = 'it changed 1048576 of them in place, byte 7 from 7 to 8\n'
    tap.check([done.stdout] if done.returncode or wanted not in done.stdout else [])


CASES = (
    a_hand_over_makes_no_system_call_but_the_channels,
    the_sample_has_its_bytes_changed_in_place,
)

if __name__ == '__main__':
    sys.exit(tap.main([(case.__name__, case) for case in CASES], sys.argv[2:]))
