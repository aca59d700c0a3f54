# SPDX-License-Identifier: BSD-3-Clause
"""What hand-overs cost: the programs of this folder, run, and their figures as tables.

Counts are exact: lines of the simulated machine's cache, bytes, system calls by strace, instructions by
callgrind as the difference of two run lengths. Times are ratios of cases that took turns in one run.
"""

import collections
import os
import re
import subprocess
import tempfile

PAIRS = (1000, 3000)        # the two run lengths
ROUNDS = (200, 1001)        # short ones: most fall between two turns of a busy processor
WHOLE = ('coherent', 'dma', 'cpu')
LOCK = 'mutex'              # beside which the others stand
PARTS = ('one-of-10', 'one-of-10000')
SPREAD = ('each-of-10', 'each-of-10000')
STEPS = ('make', 'attach', 'detach', 'free')
COUNTS = (1000, 10000)      # of parts
SIZES = (1 << 18, 1 << 20, 1 << 22, 1 << 24)
REPORTED = (1 << 12, 1 << 16, 1 << 20, 1 << 24, 1 << 26)

HANDOVER = {
    'mutex': 'nothing but a mutex of the C library, locked and unlocked',
    'coherent': 'memory that needs no cache operations',
    'dma': 'a buffer that DMA read and nobody wrote',
    'cpu': 'a buffer of a device that uses the CPU',
    'one-of-10': 'one part among 10',
    'one-of-10000': 'the same, among 10 000',
    'each-of-10': 'parts in turn, 10 of them',
    'each-of-10000': 'the same, 10 000 of them',
}
PLACES = {
    'in-place': 'in place',
    'copied': 'copied',
}
LINES = {
    'whole': 'the whole buffer, synced whole',
    'part': 'a part, of memory that can only be synced whole',
    'whole-ranged': 'the whole buffer, 4 KiB reported',
    'whole-ranged-skewed': 'the same, not at a line\'s start',
    'part-ranged': 'a part, of memory that can be synced by ranges',
    'part-ranged-skewed': 'the same, not at a line\'s start',
    'part-window': 'a part, of memory that gives windows',
    'part-window-skewed': 'the same, not at a page\'s start',
}


def run(words):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f'{words}: {done.stderr}')
    return done


def rows(folder, program, *arguments):
    """What a program prints, in words."""
    output = run([os.path.join(folder, program), *arguments]).stdout
    return [line.split() for line in output.splitlines()]


def per_handover(of_run):
    few, many = (of_run(pairs) for pairs in PAIRS)
    return (many - few) / (2 * (PAIRS[1] - PAIRS[0]))


def instructions(folder, case):
    """Of a hand-over in user space."""
    program = os.path.join(folder, 'handover')

    def of_run(pairs):
        with tempfile.TemporaryDirectory(prefix='libshm-sync.') as out:
            text = run(['valgrind', '--tool=callgrind', '--instr-atstart=no',
                        f'--callgrind-out-file={out}/profile', program, pairs, 1, case]).stderr
            return int(re.search(r'Collected : (\d+)', text)[1])
    return per_handover(of_run)


def system_calls(folder, case):
    """Of a hand-over."""
    program = os.path.join(folder, 'handover')

    def of_run(pairs):
        with tempfile.NamedTemporaryFile('r', suffix='.strace') as trace:
            run(['strace', '-f', '-qq', '-o', trace.name, program, pairs, 1, case])
            return sum('(' in line for line in trace)
    return per_handover(of_run)


def instructions_of_parts(folder, case, n):
    """Of each of n parts, by what is done with it."""
    program, found = os.path.join(folder, 'parts'), {}
    for step in STEPS:
        with tempfile.TemporaryDirectory(prefix='libshm-sync.') as out:
            text = run(['valgrind', '--tool=callgrind', f'--toggle-collect={step}_parts',
                        f'--callgrind-out-file={out}/profile', program, case, n]).stderr
            found[step] = int(re.search(r'Collected : (\d+)', text)[1]) / (n // 2)
    return found


def lines(folder):
    return {name: dict(zip(('out', 'in', 'copied'), map(int, counts)))
            for name, *counts in rows(folder, 'lines')}


def handovers(folder):
    found = collections.defaultdict(dict)
    for group in ((LOCK, *WHOLE, *PARTS), SPREAD):
        for key, options in (('ns', ()), ('threads_ns', ('--threads',))):
            for case, picoseconds in rows(folder, 'handover', *options, *ROUNDS, *group):
                found[case][key] = int(picoseconds) / 1000
    for case in (LOCK, *WHOLE, *PARTS, *SPREAD):
        found[case]['instructions'] = instructions(folder, case)
        found[case]['system_calls'] = system_calls(folder, case)
    return found


def parts(folder):
    return [{'case': case, 'count': n, **instructions_of_parts(folder, case, n)}
            for case in PLACES for n in COUNTS]


def bandwidth(folder):
    return [dict(zip(('size', 'memcpy_ns', 'handover_ns'), map(int, row)))
            for row in rows(folder, 'copy', 'bandwidth', 201, *SIZES)]


def reported(folder):
    return [dict(zip(('size', 'reported', 'bytes_out', 'ns'), map(int, row)))
            for row in rows(folder, 'copy', 'reported', 51, *REPORTED)]


# What needs no board, by the table that shows it.
HERE = {'handovers': handovers, 'parts': parts, 'lines': lines, 'bandwidth': bandwidth,
        'reported': reported}


def measure_board(folder):
    return [{'memory': name, 'size': int(size), 'attachments': int(attachments),
             'ns': int(picoseconds) / 1000}
            for name, size, attachments, picoseconds in rows(folder, 'on-board', 5)]


def bytes_of(size):
    for shift, unit in ((20, 'MiB'), (10, 'KiB')):
        if size >> shift:
            return f'{size >> shift} {unit}'
    return f'{size} B'


def table(heads, body):
    lines_of = [heads, ['---'] + ['--:'] * (len(heads) - 1), *body]
    return '\n'.join('| ' + ' | '.join(map(str, cells)) + ' |' for cells in lines_of)


def handover_table(found):
    cases = found['handovers']

    def times(name):
        for key in ('ns', 'threads_ns'):
            yield f'{cases[name][key] / cases[LOCK][key]:.2f}'
            yield f'{cases[name][key]:.1f}'
    return table(
        ('a hand-over that needs nothing', 'system calls', 'instructions', 'time', 'ns',
         'with threads', 'ns'),
        [(text, f'{cases[name]["system_calls"]:g}', f'{cases[name]["instructions"]:.0f}',
          *times(name)) for name, text in HANDOVER.items()])


def part_table(found):
    return table(
        ('instructions of one part', 'made', 'attached', 'detached', 'freed'),
        [(f'{PLACES[row["case"]]}, {row["count"]} parts', *(f'{row[step]:.0f}' for step in STEPS))
         for row in found['parts']])


def line_table(found):
    return table(
        ('4 KiB of 64 MiB to DMA and back', 'lines written back', 'lines read in', 'bytes copied'),
        [(text, *found['lines'][name].values()) for name, text in LINES.items()])


def bandwidth_table(found):
    return table(
        ('a part that is copied', 'memcpy\'s bandwidth', 'µs'),
        [(bytes_of(row['size']), f'{row["memcpy_ns"] / row["handover_ns"]:.1%}',
          f'{row["handover_ns"] / 1000:.1f}') for row in found['bandwidth']])


def reported_table(found):
    """A column for each size of the part; each cell is copied bytes and time, beside the smallest."""
    by = {(row['reported'], row['size']): row for row in found['reported']}
    base = found['reported'][0]['ns']
    counts = sorted({reported for reported, _ in by})

    def cell(reported, size):
        row = by.get((reported, size))
        return f'{row["bytes_out"]} B, {row["ns"] / base:.2f}' if row else ''
    return table(
        ('reported', *(f'of {bytes_of(size)}' for size in REPORTED)),
        [(bytes_of(reported), *(cell(reported, size) for size in REPORTED)) for reported in counts])


def board_table(found):
    """START and END, beside a hand-over and back that needs neither."""
    cells = {(row['memory'], row['size'], row['attachments']): row['ns'] for row in found['board']}
    base = next(row['ns'] for row in found['board'] if row['memory'] == 'elided')
    kinds = {'heap:system': 'START and END, heap:system', 'heap:reserved': '…, heap:reserved',
             'udmabuf': '…, udmabuf', 'whole': '…, a udmabuf of all of 64 MiB',
             'window': '…, a udmabuf of 4 KiB of them',
             'copied': 'a part of heap:system, copied and handed over',
             'by-window': 'a part of udmabuf, END and START by its window',
             'elided': 'a hand-over and back that needs nothing'}

    def cell(memory, size, attachments):
        cost = cells.get((memory, size, attachments))
        return '' if cost is None else f'{cost / base:.2f}'
    body = []
    for memory, text in kinds.items():
        sizes = sorted({size for kind, size, _ in cells if kind == memory})
        body += [(text, bytes_of(size), *(cell(memory, size, n) for n in range(3)))
                 for size in sizes]
    return table(('on the board', 'bytes', 'no attachment', '1', '2'), body)


BOARD = 'board sync'
TABLES = {
    'handovers': handover_table,
    'parts': part_table,
    'lines': line_table,
    'bandwidth': bandwidth_table,
    'reported': reported_table,
    BOARD: board_table,
}
