#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""shm-demo with what any machine has: a software camera, PoCL, a picture as the display.

ROOT PROGRAM [--list | --only PATTERN]
"""

import collections
import functools
import json
import os
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

ROOT, PROGRAM = map(os.path.abspath, sys.argv[1:3])
NONCE = 0x5eed1234
WIDTH, HEIGHT = 320, 240
# What montage.c makes of panels of this size.
MARGIN, GAP, STRIP = 10, 16, 20

sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
import png       # noqa: E402, the path comes first
import tap       # noqa: E402
import timeline  # noqa: E402


def demo(*arguments):
    return subprocess.run([PROGRAM, *arguments], cwd=WORK, check=False, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60)


def expect(condition, text):
    if not condition:
        raise tap.Failed(text)


def run(status, *arguments):
    answer = demo(*arguments)
    expect(answer.returncode == status,
           f'status {answer.returncode}, not {status}\n{answer.stdout}{answer.stderr}')
    return answer


@functools.lru_cache(maxsize=None)
def good_run():
    """What a checked run of 30 frames prints, and its figures."""
    answer = run(0, '--frames', '30', '--size', f'{WIDTH}x{HEIGHT}', '--check', '--nonce',
                 str(NONCE), '--json', 'demo.json', '--trace', 'trace.json')
    with open(os.path.join(WORK, 'demo.json'), encoding='utf-8') as file:
        return answer, json.load(file)


@functools.lru_cache(maxsize=None)
def picture():
    """The lines of demo.png, three bytes a pixel."""
    good_run()
    return png.read(os.path.join(WORK, 'demo.png'))


def panel(number):
    left = MARGIN + number * (WIDTH + GAP)
    return [bytes(line[left * 3:(left + WIDTH) * 3])
            for line in picture()[MARGIN:MARGIN + HEIGHT]]


def each_displayed_frame_equals_the_reference():
    figures = good_run()[1]
    expect(figures['frames'] == 30 and figures['check']['equal'] == 30, str(figures))
    expect(figures['last_sequence'] >= figures['first_sequence'] + 29, str(figures))


def the_number_that_the_camera_draws_is_displayed():
    check = good_run()[1]['check']
    expect(check['nonce'] == NONCE and check['wrong'] == '', str(check))


def no_stage_copies_a_byte():
    figures = good_run()[1]
    for stage in ('camera', 'gpu', 'display'):
        expect(figures[stage]['frames'] >= 30, f'{stage}: {figures[stage]}')
        expect(figures[stage]['bytes_copied'] == 0, f'{stage}: {figures[stage]}')
    expect(figures['bytes_copied'] == 0, str(figures))


def each_stage_has_a_line():
    lines = good_run()[0].stdout.splitlines()
    for stage in ('camera', 'gpu', 'display'):
        found = [line for line in lines if line.startswith(stage)]
        expect(len(found) == 1 and '0 bytes copied' in found[0], '\n'.join(lines))


def the_picture_has_three_panels():
    lines = picture()
    expect(len(lines) == 2 * MARGIN + HEIGHT + STRIP, f'{len(lines)} lines')
    expect(len(lines[0]) == 3 * (2 * MARGIN + 3 * WIDTH + 2 * GAP), f'{len(lines[0])} bytes a line')


def trace():
    answer = good_run()[0]
    expect(answer.stdout.splitlines()[-1].startswith('trace    trace.json'), answer.stdout)
    return timeline.Timeline(os.path.join(WORK, 'trace.json'))


def the_trace_is_a_timeline_without_losses():
    found = trace()
    tap.check(timeline.problems(found))
    expect(found.process == 'shm-demo', found.process)
    expect(found.data['otherData']['lost'] == 0, str(found.data['otherData']))


def the_trace_has_each_frames_way():
    found, ways = trace(), collections.Counter()
    for buffer in {event['args']['buffer'] for event in found.holds()}:
        holders = [found.holder(event).partition(':')[0] for event in found.holds(buffer)]
        ways.update(zip(holders, holders[1:]))
    expect(ways['software camera', 'opencl'] >= 30 and ways['opencl', 'picture'] >= 30, str(ways))


def a_picture_of_the_trace_shows_its_holders():
    trace()
    drawn = subprocess.run([os.path.join(ROOT, 'tools', 'trace-picture'), 'trace.json', 'trace.svg',
                            '--begin', '0', '--length', '5000'], cwd=WORK, check=False, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    expect(drawn.returncode == 0, drawn.stdout)
    texts = [''.join(element.itertext()) for element in
             ElementTree.parse(os.path.join(WORK, 'trace.svg')).iter() if element.tag.endswith('}text')]
    for name in ('software camera', 'picture', 'the program'):
        expect(name in texts, str(texts))
    expect(any(text.startswith('opencl:') for text in texts), str(texts))


def what_is_displayed_was_processed():
    expect(panel(1) == panel(2), 'the second panel is not the third')


def the_filter_is_seen():
    differ = sum(a[at:at + 3] != b[at:at + 3] for a, b in zip(panel(0), panel(1))
                 for at in range(0, WIDTH * 3, 3))
    expect(differ > WIDTH * HEIGHT // 2, f'only {differ} pixels differ')


def fault(name, reason):
    answer = run(1, '--frames', '5', '--check', '--fault', name, '--output', 'fault.png')
    expect(reason in answer.stderr, answer.stderr)
    expect(not os.path.exists(os.path.join(WORK, 'fault.png')), 'a picture was written')


def a_frozen_camera_is_found():
    fault('frozen', "the camera's picture is that of sequence")


def a_repeated_frame_is_found():
    fault('repeat', 'the reference has')


def memory_that_is_named_is_used():
    run(0, '--memory', 'memfd', '--frames', '2', '--json', 'named.json', '--output', 'named.png')
    with open(os.path.join(WORK, 'named.json'), encoding='utf-8') as file:
        camera = json.load(file)['camera']
    expect(camera['memory'] == 'memfd' and '--memory' in camera['why'], str(camera))


def refused(status, reason, *arguments):
    answer = run(status, *arguments)
    last = answer.stderr.splitlines()[-1]
    expect(last.startswith('shm-demo: ') and reason in last, answer.stderr)


def what_is_not_there_is_one_line():
    refused(3, 'nowhere', '--memory', 'heap:nowhere')
    refused(3, '/dev/nowhere', '--camera', '/dev/nowhere')
    refused(3, '/dev/nowhere', '--display', '/dev/nowhere')
    refused(3, 'remoteproc', '--dsp', 'nobody')


def a_picture_that_cannot_be_written_is_one_line():
    refused(3, 'nowhere/x.png', '--frames', '1', '--output', 'nowhere/x.png')


def a_trace_that_cannot_be_written_is_one_line():
    refused(3, 'nowhere/x.json', '--frames', '1', '--output', 'x.png', '--trace', 'nowhere/x.json')
    refused(3, '/dev/full', '--frames', '1', '--output', 'x.png', '--trace', '/dev/full')


def wrong_usage_is_status_2():
    for option, value in (('--size', '641x480'), ('--size', '64x48'), ('--size', '640'),
                          ('--frames', '-1'), ('--frames', 'x'), ('--rate', '0'),
                          ('--fault', 'none'), ('--nonce', '0x100000000')):
        refused(2, value, option, value)
    refused(2, 'software', '--camera', '/dev/video0', '--nonce', '1')
    refused(2, 'no DSP', '--dsp', 'remoteproc0', '--nonce', '1')
    refused(2, '--dsp', '--firmware', 'dsp.elf')
    refused(2, '--dsp', '--fault', 'unsigned')


if __name__ == '__main__':
    with tempfile.TemporaryDirectory(prefix='libshm-demo.') as WORK:
        sys.exit(tap.main([(case.__name__, case) for case in (
            each_displayed_frame_equals_the_reference,
            the_number_that_the_camera_draws_is_displayed,
            no_stage_copies_a_byte,
            each_stage_has_a_line,
            the_picture_has_three_panels,
            the_trace_is_a_timeline_without_losses,
            the_trace_has_each_frames_way,
            a_picture_of_the_trace_shows_its_holders,
            what_is_displayed_was_processed,
            the_filter_is_seen,
            a_frozen_camera_is_found,
            a_repeated_frame_is_found,
            memory_that_is_named_is_used,
            what_is_not_there_is_one_line,
            a_picture_that_cannot_be_written_is_one_line,
            a_trace_that_cannot_be_written_is_one_line,
            wrong_usage_is_status_2,
        )], sys.argv[3:]))
