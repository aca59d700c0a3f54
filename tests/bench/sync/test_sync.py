#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What hand-overs cost, as far as it can be counted. No times.

usage: test_sync.py FOLDER [--list]     FOLDER has the programs
"""

import functools
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(os.path.dirname(HERE)), 'support')]

import sync  # noqa: E402, the path comes first
import tap   # noqa: E402

WHOLE = (64 << 20) // 64
PART = 4096 // 64
MOST_INSTRUCTIONS = 320


@functools.cache
def lines():
    return sync.lines(sys.argv[1])


@functools.cache
def instructions(case):
    return sync.instructions(sys.argv[1], case)


def expect(name, lines_out, lines_in, copied):
    found = lines()[name]
    tap.check([f'{name}: {found}'] if list(found.values()) != [lines_out, lines_in, copied] else [])


def a_whole_buffer_costs_all_its_lines():
    expect('whole', WHOLE, WHOLE, 0)


def a_part_costs_its_own_lines_where_ranges_are_synced():
    expect('part-ranged', PART, PART, 0)


def what_was_reported_costs_its_own_lines_where_ranges_are_synced():
    expect('whole-ranged', PART, WHOLE, 0)
    expect('whole-ranged-skewed', PART + 1, WHOLE, 0)


def a_part_costs_its_own_lines_and_a_copy_where_only_all_is_synced():
    expect('part', PART, PART, 2 * 4096)


def a_part_costs_its_own_lines_by_a_window():
    expect('part-window', PART, PART, 0)
    expect('part-window-skewed', PART, PART, 2 * 4096)


def a_hand_over_that_needs_nothing_costs_few_instructions():
    tap.check(f'{case}: {instructions(case)}' for case in sync.WHOLE
              if not 0 < instructions(case) <= MOST_INSTRUCTIONS)


def one_among_10000_parts_costs_at_most_twice_one_among_10():
    few, many = (instructions(case) for case in sync.PARTS)
    tap.check([f'{few}, {many}'] if many > 2 * few else [])


def ten_times_the_parts_cost_at_most_half_more_each():
    few, many = (sync.instructions_of_parts(sys.argv[1], 'in-place', n) for n in sync.COUNTS)
    tap.check(f'{step}: {few[step]}, {many[step]}' for step in sync.STEPS
              if not 0 < many[step] <= 1.5 * few[step])


def ten_times_the_copied_parts_cost_at_most_half_more_each():
    few, many = (sync.instructions_of_parts(sys.argv[1], 'copied', n) for n in sync.COUNTS)
    tap.check(f'{step}: {few[step]}, {many[step]}' for step in sync.STEPS
              if not 0 < many[step] <= 1.5 * few[step])


CASES = (
    a_whole_buffer_costs_all_its_lines,
    a_part_costs_its_own_lines_where_ranges_are_synced,
    what_was_reported_costs_its_own_lines_where_ranges_are_synced,
    a_part_costs_its_own_lines_and_a_copy_where_only_all_is_synced,
    a_part_costs_its_own_lines_by_a_window,
    a_hand_over_that_needs_nothing_costs_few_instructions,
    one_among_10000_parts_costs_at_most_twice_one_among_10,
    ten_times_the_parts_cost_at_most_half_more_each,
    ten_times_the_copied_parts_cost_at_most_half_more_each,
)

if __name__ == '__main__':
    sys.exit(tap.main([(case.__name__, case) for case in CASES], sys.argv[2:]))
