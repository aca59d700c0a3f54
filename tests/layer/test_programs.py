#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Programs of others' that use OpenCL do the same with the layer and without.

usage: test_programs.py LAYER TEST_LAYER [--list]

LAYER is the layer's path, TEST_LAYER that of the program test_layer.
"""

import collections
import functools
import glob
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))),
                                'support'))

import tap  # noqa: E402, the path comes first

ADDED = ('cl_arm_import_memory', 'cl_arm_import_memory_dma_buf', 'cl_arm_import_memory_host',
         'cl_khr_external_memory', 'cl_khr_external_memory_dma_buf', 'cl_libshm_import_layer')

# Each makes buffers; the first two by copying the program's bytes into them.
FILTERS = {
    'unsharp': 'unsharp_opencl=lx=3:ly=3',
    'convolution': "convolution_opencl=0m='1 2 1 2 4 2 1 2 1':0rdiv=0.0625",
    'nlmeans': 'nlmeans_opencl=p=3:r=5',
}


def run(words, layer, **more):
    environment = {**os.environ, **more}
    if layer:
        environment['OPENCL_LAYERS'] = sys.argv[1]
    else:
        environment.pop('OPENCL_LAYERS', None)
    done = subprocess.run(words, check=False, env=environment, text=True, errors='replace',
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=100)
    if done.returncode:
        raise tap.Failed(f'{words[0]} answers {done.returncode}: {done.stdout}{done.stderr}')
    return done.stdout


def counted(words, **more):
    """A program's output with the layer, and the layer's counters."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'stats')
        output = run(words, True, LIBSHM_CL_STATS=path, **more)
        if not os.path.exists(path):
            raise tap.Failed('the layer was not loaded')
        counts = collections.Counter()
        with open(path, encoding='utf-8') as file:
            for line in file:
                _, name, count = line.split()
                counts[name] += int(count)
        return output, counts


def words_of(text):
    """Lines without what the layer adds to a list, and without the lines that it adds."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        if any(line.lstrip().startswith(name + ' ') for name in ADDED) and '0x4' in line:
            continue
        if 'handle types' in line and 'DMA buffer' in line:
            continue
        lines.append([word for word in words if word not in ADDED])
    return lines


def clinfo_tells_of_the_extensions_and_nothing_else():
    output, _ = counted(['clinfo'])
    plain = run(['clinfo'], False)
    missing = [name for name in ADDED if name not in output]
    changed = [f'{new} was {old}' for old, new in zip(words_of(plain), words_of(output))
               if old != new]
    if len(words_of(plain)) != len(words_of(output)):
        changed.append(f'{len(words_of(plain))} lines became {len(words_of(output))}')
    tap.check(missing + changed)


def filtered(name):
    return ['ffmpeg', '-v', 'error', '-init_hw_device', 'opencl=gpu:0.0', '-filter_hw_device',
            'gpu', '-f', 'lavfi', '-i', 'testsrc2=size=160x120:rate=5:duration=1', '-vf',
            f'format=yuv420p,hwupload,{FILTERS[name]},hwdownload,format=yuv420p', '-f', 'md5', '-']


def ffmpeg_gives_the_same_picture(name):
    plain = run(filtered(name), False)
    complaints = []
    for force in ('0', '1'):
        output, counts = counted(filtered(name), LIBSHM_CL_FORCE=force)
        if output != plain or not plain.startswith('MD5='):
            complaints.append(f'forced {force}: {output} was {plain}')
        if bool(counts['imports']) != (force == '1') or bool(counts['brackets']) != (force == '1'):
            complaints.append(f'forced {force}: {dict(counts)}')
    tap.check(complaints)


def rusticl_runs_commands_between_brackets():
    """Mesa's OpenCL on the CPU has events that are complete a flush at a time."""
    libraries = glob.glob('/usr/lib/*/libRusticlOpenCL.so.1')
    if not libraries:
        raise tap.Failed('mesa-opencl-icd is not installed')
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'rusticl.icd'), 'w', encoding='utf-8') as file:
            file.write(libraries[0] + '\n')
        _, counts = counted([sys.argv[2]], OCL_ICD_VENDORS=folder, RUSTICL_ENABLE='llvmpipe',
                            LIBSHM_CL_FORCE='1')
    tap.check([] if counts['brackets'] else [repr(counts)])


CASES = [(case.__name__, case) for case in
         (clinfo_tells_of_the_extensions_and_nothing_else, rusticl_runs_commands_between_brackets)]
CASES += [(f'ffmpeg_gives_the_same_picture_by_{name}',
           functools.partial(ffmpeg_gives_the_same_picture, name)) for name in FILTERS]

if __name__ == '__main__':
    sys.exit(tap.main(CASES, sys.argv[3:]))
