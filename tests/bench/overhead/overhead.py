# SPDX-License-Identifier: BSD-3-Clause
"""Camera to display on the board: what a frame costs by hand and through libshm.

measure() runs in the guest, table() anywhere. Both programs are in the folder that measure() is given.

System calls are counted by strace from one frame to another of the same run, which is the difference of
two run lengths without what their starts differ in. Instructions are counted by callgrind, the same way
from two runs. The camera gives 5 frames/s, so no frame waits for the display, and the figures repeat
exactly.
"""

import collections
import os
import re
import subprocess
import sys
import tempfile

TESTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.append(os.path.join(TESTS, 'support'))

import nodes  # noqa: E402, the path comes first

PROGRAMS = ('handwritten', 'through-libshm')
SIZES = ((640, 480), (1280, 720))
FRAMES = (10, 20)           # the two run lengths
TRIES = 3                   # a machine that stalls for 40 ms makes a frame late, and that costs calls

SYSTEM_CALL = re.compile(r'(?:\d+ +)?(\w+)\((.*)')
REQUEST = re.compile(r'[^,]*, (\w+)')
FETCHED = re.compile(r'(?:\d+ +)?ioctl\([^,]*, VIDIOC_DQBUF,.* = 0')
# A callgrind file names a thing once, "ob=(3) /lib/libc.so", and then by number.
NAMED = re.compile(r'(ob|cob)=\((\d+)\)(?: (.*))?$')
COST = re.compile(r'[+*\-\d]\S* (\d+)$')


def run(words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, errors='replace', check=False)
    if done.returncode:
        raise RuntimeError(f'{os.path.basename(words[0])} {words[-6:]}: {done.stdout}')


def job(folder, program, size, frames):
    return [os.path.join(folder, program), nodes.camera(), nodes.card(), *map(str, size), str(frames)]


def calls_between(trace, first, last):
    """How often each system call was made after the first frame was fetched, up to the last one."""
    fetched, found = 0, collections.Counter()
    for line in trace:
        call = SYSTEM_CALL.match(line)
        if call and first <= fetched < last:
            request = REQUEST.match(call[2]) if call[1] == 'ioctl' else None
            found[request[1] if request else call[1]] += 1
        fetched += bool(FETCHED.match(line))
    if fetched < last:
        raise RuntimeError(f'{fetched} frames of {last} in the trace')
    return found


def system_calls(folder, program, size):
    """A frame's system calls by name: those of the run that made the fewest."""
    fewest = None
    for _ in range(TRIES):
        with tempfile.NamedTemporaryFile('r', suffix='.strace') as trace:
            run(['strace', '-f', '-qq', '-o', trace.name, *job(folder, program, size, FRAMES[1])])
            found = calls_between(trace, *FRAMES)
        if fewest is None or sum(found.values()) < sum(fewest.values()):
            fewest = found
        if all(count == FRAMES[1] - FRAMES[0] for count in fewest.values()):
            break
    return {name: per_frame(count) for name, count in sorted(fewest.items())}


def cost_by_object(profile):
    """Instructions of each program or library, without those of what it calls."""
    names, found, here, inclusive = {}, collections.Counter(), None, False
    for line in profile:
        named, cost = NAMED.match(line), COST.match(line)
        if named:
            if named[3]:
                names[named[2]] = os.path.basename(named[3])
            if named[1] == 'ob':
                here = names[named[2]]
        elif line.startswith('calls='):
            inclusive = True        # the next line is the callee's
        elif cost:
            found[here] += 0 if inclusive else int(cost[1])
            inclusive = False
    return found


def instructions(folder, program, size):
    """A frame's instructions by program and library."""
    found = []
    for frames in FRAMES:
        with tempfile.NamedTemporaryFile('r', suffix='.callgrind') as profile:
            run(['valgrind', '-q', '--tool=callgrind', f'--callgrind-out-file={profile.name}',
                 *job(folder, program, size, frames)])
            found.append(cost_by_object(profile))
    return {name: per_frame(found[1][name] - found[0][name]) for name in sorted(found[1])
            if found[1][name] != found[0][name]}


def per_frame(total):
    return round(total / (FRAMES[1] - FRAMES[0]), 2)


def measure(folder):
    """Everything, as JSON has it: {'640x480': {'handwritten': {...}, ...}, ...}."""
    found = {}
    for size in SIZES:
        of_size = found['x'.join(map(str, size))] = {}
        for program in PROGRAMS:
            of_size[program] = {
                'system_calls': system_calls(folder, program, size),
                'instructions': instructions(folder, program, size),
            }
    return found


def calls(figures):
    return round(sum(figures['system_calls'].values()), 2)


def own(figures):
    """Instructions in libshm's libraries."""
    return round(sum(count for name, count in figures['instructions'].items()
                     if name.startswith('libshm')), 2)


def every(figures):
    return round(sum(figures['instructions'].values()), 2)


def table(found):
    """Markdown: what a frame costs."""
    lines = ['| each frame costs | through libshm | by hand | ratio |', '|---|--:|--:|--:|']
    rows = (('system calls', calls),
            ('instructions in user space', every),
            ('of these in libshm*.so', own))
    for size, programs in found.items():
        for what, figure in rows:
            ours, theirs = figure(programs['through-libshm']), figure(programs['handwritten'])
            ratio = f'{ours / theirs:.2f}' if theirs else ''
            lines.append(f'| {size}: {what} | {ours:g} | {theirs:g} | {ratio} |')
    return '\n'.join(lines)
