#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a frame costs through libshm, against the same job by hand. Exact figures, no times.

usage: test_overhead.py FOLDER [--list]     FOLDER has the programs of tests/bench/overhead
"""

import functools
import os
import sys

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path[:0] = [os.path.join(TESTS, 'support'), os.path.join(TESTS, 'bench', 'overhead')]

import overhead  # noqa: E402, the path comes first
import tap       # noqa: E402

MOST_INSTRUCTIONS = 2000
SPREAD = 0.05


@functools.cache
def found():
    figures = overhead.measure(sys.argv[1])
    print(overhead.table(figures))
    return figures


def ours():
    return {size: programs['through-libshm'] for size, programs in found().items()}


def by_hand():
    return {size: programs['handwritten'] for size, programs in found().items()}


def the_loop_by_hand_makes_five_system_calls_a_frame():
    tap.check(f'{size}: {figures["system_calls"]}' for size, figures in by_hand().items()
              if overhead.calls(figures) != 5)


def libshm_makes_no_more_system_calls_than_the_loop_by_hand():
    tap.check(f'{size}: {figures["system_calls"]}' for size, figures in ours().items()
              if overhead.calls(figures) > overhead.calls(by_hand()[size]))


def libshm_spends_at_most_2000_instructions_on_a_frame():
    tap.check(f'{size}: {overhead.own(figures)}' for size, figures in ours().items()
              if not 0 < overhead.own(figures) <= MOST_INSTRUCTIONS)


def a_larger_frame_costs_libshm_no_more():
    costs = [overhead.own(figures) for figures in ours().values()]
    tap.check([f'{costs}'] if max(costs) > min(costs) * (1 + SPREAD) else [])


def a_larger_frame_makes_no_more_system_calls():
    calls = [figures['system_calls'] for figures in ours().values()]
    tap.check(f'{calls[0]}, {other}' for other in calls[1:] if other != calls[0])


CASES = (
    the_loop_by_hand_makes_five_system_calls_a_frame,
    libshm_makes_no_more_system_calls_than_the_loop_by_hand,
    libshm_spends_at_most_2000_instructions_on_a_frame,
    a_larger_frame_costs_libshm_no_more,
    a_larger_frame_makes_no_more_system_calls,
)

if __name__ == '__main__':
    sys.exit(tap.main([(case.__name__, case) for case in CASES], sys.argv[2:]))
