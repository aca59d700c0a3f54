#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Camera -> DSP -> display, and with OpenCL before the DSP: shm-demo with the board's coprocessor.

usage: test_dsp.py BUILD [--list]      BUILD is the build folder
"""

import collections
import functools
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))),
                                'support'))

import nodes     # noqa: E402, the path comes first
import png       # noqa: E402
import tap       # noqa: E402
import timeline  # noqa: E402

FRAMES = 30
WIDTH, HEIGHT = 320, 180
# What montage.c makes of four panels of this size.
DOT = WIDTH // 240
MARGIN, GAP, STRIP = 10 * DOT, 16 * DOT, 20 * DOT
# What dsp_image.h draws: 32 cells of 4 by 4, the lowest bit first, the mark in the upper 16.
CELL, ROW, MARK = 4, 8, 0xd5b0

Run = collections.namedtuple('Run', 'status output figures trace picture')


def load():
    """The core's driver and the importer; its firmware lies where the group says."""
    for module in ('board_coprocessor', 'shm_importer'):
        path = os.path.join(os.environ['LIBSHM_BOARD_MODULES'], module + '.ko')
        subprocess.run(['insmod', path], check=True)
    with open('/sys/module/firmware_class/parameters/path', 'w', encoding='utf-8') as file:
        file.write(os.environ['LIBSHM_BOARD_FIRMWARE'])


def demo(*options, meanwhile=None):
    """Runs it; meanwhile(process) is called when it says for the first time that frames are through."""
    with tempfile.TemporaryDirectory() as folder:
        def path(name):
            return os.path.join(folder, name)

        def read(name, reader):
            return reader(path(name)) if os.path.exists(path(name)) else None

        def figures(name):
            with open(name, encoding='utf-8') as file:
                return json.load(file)

        output = []
        with subprocess.Popen(
                [os.path.join(sys.argv[1], 'tools/demo/shm-demo'), '--camera', nodes.camera(), '--display',
                 nodes.card(), '--size', f'{WIDTH}x{HEIGHT}', '--rate', '10', '--dsp', 'board', '--firmware',
                 'board-dsp.elf', '--output', path('demo.png'), '--json', path('figures'), '--trace',
                 path('trace'), *options],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors='replace') as process:
            for line in process.stdout:
                output.append(line)
                if meanwhile and line.endswith(' frames\n') and not line.endswith(' 0 frames\n'):
                    meanwhile(process)
                    meanwhile = None
        return Run(process.returncode, ''.join(output), read('figures', figures),
                   read('trace', timeline.Timeline), read('demo.png', png.read))


def good(*options):
    found = demo('--frames', str(FRAMES), *options)
    tap.check([f'status {found.status}: {found.output}'] if found.status else [])
    return found


@functools.cache
def dsp_alone():
    return good('--check')


@functools.cache
def opencl_and_dsp():
    return good('--check', '--opencl')


@functools.cache
def unwatched():
    """Nobody looks at the frames between their stages."""
    return good()


def equal_to_the_reference(found):
    check = {'evidence': 'writeback', 'equal': FRAMES, 'wrong': ''}
    tap.check([] if found.figures['check'] == check else [json.dumps(found.figures['check'])])


def counted(found):
    dsp = found.figures['dsp']
    wanted = {'given': FRAMES, 'done': FRAMES, 'refused': 0, 'signed': FRAMES}
    tap.check([] if wanted.items() <= dsp.items() and dsp['time_ns'] else [json.dumps(dsp)])


def uncopied(found, *stages):
    figures = found.figures
    tap.check(json.dumps(figures[stage]) for stage in stages
              if figures[stage]['bytes_copied'] or figures[stage]['frames'] < FRAMES)
    tap.check([json.dumps(figures)] if figures['bytes_copied'] else [])


def ways(found):
    """How often a buffer went from one holder to the next, the program's own turns left out."""
    trace, counts = found.trace, collections.Counter()
    tap.check(timeline.problems(trace))
    for buffer in {event['args']['buffer'] for event in trace.holds()}:
        holders = [trace.holder(event).partition(':')[0] for event in trace.holds(buffer)]
        holders = [holder for holder in holders if holder != 'the program']
        counts.update(zip(holders, holders[1:]))
    return counts


def frames_filtered_where_the_camera_wrote_them_are_displayed():
    equal_to_the_reference(dsp_alone())


def opencl_and_the_dsp_work_on_a_frame_one_after_the_other():
    equal_to_the_reference(opencl_and_dsp())


def the_firmware_counts_each_frame():
    counted(dsp_alone())
    counted(opencl_and_dsp())


def no_stage_copies_a_byte():
    found = dsp_alone()
    uncopied(found, 'camera', 'dsp', 'display')
    tap.check([] if found.figures['camera']['inode'] == found.figures['display']['inode']
              else [json.dumps(found.figures)])
    uncopied(opencl_and_dsp(), 'camera', 'gpu', 'dsp', 'display')


def the_users_of_a_frame_choose_its_memory():
    for found, stage in ((dsp_alone(), 'camera'), (opencl_and_dsp(), 'display')):
        figures = found.figures[stage]
        tap.check([] if figures['memory'] == 'heap:system' and len(figures['refused']) == 2
                  else [json.dumps(figures)])


def each_frame_goes_round_by_give_and_return():
    counts = ways(unwatched())
    tap.check([] if min(counts['v4l2', 'rproc'], counts['rproc', 'drm']) >= FRAMES else [str(counts)])
    counts = ways(opencl_and_dsp())
    tap.check([] if min(counts['v4l2', 'opencl'], counts['opencl', 'rproc'], counts['rproc', 'drm']) >= FRAMES
              else [str(counts)])


def three_buffers_are_in_flight():
    trace = unwatched().trace
    held = [event for event in trace.holds() if trace.holder(event) != 'the program']
    most = max(len({event['args']['buffer'] for event in held
                    if event['ts'] <= at['ts'] < event['ts'] + event['dur']}) for at in held)
    tap.check([] if most >= 3 else [f'{most} buffers'])


def panel(lines, column, row):
    left = (MARGIN + column * (WIDTH + GAP)) * 3
    top = MARGIN + row * (HEIGHT + STRIP + GAP)
    return [line[left:left + WIDTH * 3] for line in lines[top:top + HEIGHT]]


def signature(lines):
    word = 0
    for bit in range(32):
        x = WIDTH - ROW * CELL + bit % ROW * CELL + CELL // 2
        y = HEIGHT - 32 // ROW * CELL + bit // ROW * CELL + CELL // 2
        word |= (lines[y][x * 3] >= 128) << bit
    return word >> 16, word & 0xffff


def the_picture_shows_what_the_dsp_did():
    for found in (dsp_alone(), opencl_and_dsp()):
        lines = found.picture
        camera, shown, counters = (panel(lines, *at) for at in ((0, 0), (0, 1), (1, 1)))
        tap.check([] if signature(shown) == (MARK, FRAMES) else [f'signed {signature(shown)}'])
        tap.check([] if signature(camera)[0] != MARK else ['the camera signed'])
        tap.check([] if panel(lines, 1, 0) == shown else ['other pixels are displayed than were made'])
        colours = {bytes(line[at:at + 3]) for line in counters for at in range(0, WIDTH * 3, 3)}
        tap.check([] if len(colours) >= 3 else [f'counters in {len(colours)} colours'])


def memory_in_one_place_is_as_good():
    found = demo('--check', '--frames', '5', '--memory', 'heap:reserved')
    tap.check([] if not found.status and found.figures['check']['equal'] == 5 and
              found.figures['dsp']['pieces'] == 1 else [found.output])


def attached():
    """The DMA-BUFs of one frame's size by their inodes, with the devices at each."""
    found, size = collections.defaultdict(set), (WIDTH * HEIGHT * 4 + 4095) // 4096 * 4096
    with open('/sys/kernel/debug/dma_buf/bufinfo', encoding='utf-8') as file:
        inode = None
        for line in file:
            words = line.split()
            if len(words) >= 6 and words[0].isdigit() and words[5].isdigit():
                inode = int(words[5]) if int(words[0]) == size else None
            elif inode is not None and len(words) == 1:
                found[inode].add(words[0])
    return found


def dsp_and_display_have_the_same_memory_until_a_signal():
    seen = {}

    def look(process):
        seen.update(attached())
        process.send_signal(signal.SIGINT)

    found = demo('--frames', '0', '--check', meanwhile=look)
    tap.check([found.output] if found.status else [])
    dsp = found.figures['dsp']
    both = [inode for inode, devices in seen.items() if len(devices) == 2]
    # two more are written back into, by the display alone
    tap.check([] if found.figures['camera']['inode'] in both and len(both) == len(seen) - 2 == 6
              else [f'{seen}, {found.figures}'])
    tap.check([] if dsp['given'] == dsp['done'] >= found.figures['frames'] > 0 else [str(dsp)])


def a_dsp_that_stops_ends_the_demo():
    def stop(_):
        for path in glob.glob('/sys/class/remoteproc/*/state'):
            with open(path, 'w', encoding='utf-8') as file:
                file.write('stop')

    found = demo('--frames', '0', meanwhile=stop)
    tap.check([] if found.status == 3 and 'rproc:remoteproc0' in found.output and not found.picture
              else [f'status {found.status}: {found.output}'])


def fails(status, words, *options):
    found = demo('--frames', '5', *options)
    tap.check([] if found.status == status and words in found.output and not found.picture
              else [f'status {found.status}: {found.output}'])


def a_dsp_that_did_nothing_is_found():
    fails(1, 'the reference has', '--check', '--fault', 'skip')
    fails(1, 'nothing shows that the DSP has done it', '--fault', 'skip')


def a_dsp_that_signs_nothing_is_found():
    fails(1, 'where the reference has ffffff', '--check', '--fault', 'unsigned')
    fails(1, 'nothing shows that the DSP has done it', '--fault', 'unsigned')


def a_frame_that_is_shown_again_is_found():
    fails(1, 'the reference has', '--check', '--fault', 'repeat')
    fails(1, 'the reference has', '--check', '--fault', 'repeat', '--opencl')


def a_frozen_camera_is_found():
    nodes.set_control(nodes.camera(), 'OSD Text Mode', 2)
    try:
        fails(1, "the camera's picture is that of sequence", '--check')
    finally:
        nodes.set_control(nodes.camera(), 'OSD Text Mode', 0)


def firmware_that_is_no_dsp_is_found():
    fails(3, 'keeps no counters', '--firmware', 'board-increment.elf')
    fails(3, 'nowhere.elf', '--firmware', 'nowhere.elf')


CASES = (
    frames_filtered_where_the_camera_wrote_them_are_displayed,
    opencl_and_the_dsp_work_on_a_frame_one_after_the_other,
    the_firmware_counts_each_frame,
    no_stage_copies_a_byte,
    the_users_of_a_frame_choose_its_memory,
    each_frame_goes_round_by_give_and_return,
    three_buffers_are_in_flight,
    the_picture_shows_what_the_dsp_did,
    memory_in_one_place_is_as_good,
    dsp_and_display_have_the_same_memory_until_a_signal,
    a_dsp_that_stops_ends_the_demo,
    a_dsp_that_did_nothing_is_found,
    a_dsp_that_signs_nothing_is_found,
    a_frame_that_is_shown_again_is_found,
    a_frozen_camera_is_found,
    firmware_that_is_no_dsp_is_found,
)

if __name__ == '__main__':
    if '--list' not in sys.argv:
        load()
    sys.exit(tap.main([(case.__name__, case) for case in CASES], sys.argv[2:]))
