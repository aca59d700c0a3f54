#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The programs that users see first, on real drivers: samples and shm-demo.

usage: test_programs.py BUILD [--list]      BUILD is the build folder
"""

import functools
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))),
                                'support'))

import nodes  # noqa: E402, the path comes first
import tap    # noqa: E402

FRAMES = 30
LAYER = 'interop/opencl/layer/libshm_cl_layer.so'


def run(*words, env=None):
    """Answers status and output of a program of the build folder."""
    done = subprocess.run([os.path.join(sys.argv[1], words[0]), *words[1:]], check=False,
                          env={**os.environ, **(env or {})},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, errors='replace')
    return done.returncode, done.stdout


def expect(status, *words, env=None):
    found, output = run(*words, env=env)
    if found != status:
        raise tap.Failed(f'{words[0]} answers {found}: {output}')
    return output


def demo(*options, status=0, env=None):
    """Runs the demo's pipeline and answers its figures."""
    with tempfile.TemporaryDirectory() as folder:
        figures = os.path.join(folder, 'figures')
        expect(status, 'tools/demo/shm-demo', '--camera', nodes.camera(), '--display',
               nodes.card(), '--check', '--frames', str(FRAMES), '--size', '640x480',
               '--output', os.path.join(folder, 'demo.png'), '--json', figures, *options, env=env)
        with open(figures, encoding='utf-8') as file:
            return json.load(file)


@functools.cache
def first_demo():
    return demo()


def sample_02_shows_the_camera_on_the_display():
    expect(0, 'samples/02-camera-display', nodes.camera(), nodes.card(), str(FRAMES))


def sample_03_sends_frames_through_the_gpu():
    expect(0, 'samples/03-camera-gpu-display', nodes.camera(), nodes.card(), str(FRAMES))


def sample_04_converts_a_frame_in_vim2m():
    expect(0, 'samples/04-m2m', nodes.video('vim2m'))


def sample_05_hands_parts_of_each_memory_to_a_kernel():
    for memory in ('heap:system', 'heap:reserved', 'udmabuf'):
        output = expect(0, 'samples/05-parts', memory)
        if ': 0 bytes wrong' not in output:
            raise tap.Failed(output)


def sample_06_needs_no_device():
    expect(0, 'samples/06-processes')


def sample_08_shows_the_camera_by_three_programs_each_byte_as_it_was_written():
    for _ in range(2):
        output = expect(0, 'samples/08-three-programs', nodes.camera(), nodes.card(), str(FRAMES),
                        'check')
        if f'{FRAMES} frames of 640x480' not in output or ', 0 wrong' not in output:
            raise tap.Failed(output)


def samples_say_why_a_device_cannot_be_used():
    tap.check(f'{sample}: {answer}' for sample, answer in
              ((sample, run(sample, '/dev/null')) for sample in
               ('samples/02-camera-display', 'samples/03-camera-gpu-display', 'samples/04-m2m'))
              if answer[0] != 1 or '/dev/null' not in answer[1] or answer[1].count('\n') != 1)


def demo_checks_thirty_frames_that_were_written_back():
    figures = first_demo()
    check = {'evidence': 'writeback', 'equal': FRAMES, 'wrong': ''}
    tap.check([] if figures['check'] == check else [json.dumps(figures['check'])])


def demo_copies_no_byte():
    figures = first_demo()
    paths = figures['gpu']['reads_by'], figures['gpu']['writes_by']
    tap.check([] if figures['bytes_copied'] == 0 and 'copy' not in paths
              else [json.dumps(figures)])


def demo_runs_twice_in_a_boot_once_through_the_layer():
    paths = [(figures['gpu']['layer'], figures['gpu']['reads_by'], figures['gpu']['writes_by'],
              figures['check']['equal']) for figures in (first_demo(), demo(env={
                  'OPENCL_LAYERS': os.path.join(sys.argv[1], LAYER)}))]
    tap.check([] if paths == [(False, 'host-pointer', 'host-pointer', FRAMES),
                              (True, 'arm-import', 'arm-import', FRAMES)] else [repr(paths)])


def demo_notices_a_frame_that_is_shown_again():
    wrong = demo('--fault', 'repeat', status=1)['check']['wrong']
    tap.check([] if 'the reference has' in wrong else [wrong])


CASES = (
    sample_02_shows_the_camera_on_the_display,
    sample_03_sends_frames_through_the_gpu,
    sample_04_converts_a_frame_in_vim2m,
    sample_05_hands_parts_of_each_memory_to_a_kernel,
    sample_06_needs_no_device,
    sample_08_shows_the_camera_by_three_programs_each_byte_as_it_was_written,
    samples_say_why_a_device_cannot_be_used,
    demo_checks_thirty_frames_that_were_written_back,
    demo_copies_no_byte,
    demo_runs_twice_in_a_boot_once_through_the_layer,
    demo_notices_a_frame_that_is_shown_again,
)

if __name__ == '__main__':
    sys.exit(tap.main([(case.__name__, case) for case in CASES], sys.argv[2:]))
