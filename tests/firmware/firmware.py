#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The library without an operating system: ROOT FOLDER

It compiles for each processor, its unit tests run on RISC-V, in a machine of two harts, and a firmware that takes
memory, works on it and gives it back is as small as docs/porting.md says.
"""

import os
import subprocess
import sys

import cross
import sizes

ROOT, FOLDER = sys.argv[1:3]
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
import tap      # noqa: E402

SECONDS = 120

# Bytes of board-increment.elf, at most: of the areas of sizes.py together, and of all its code and constants.
SMALL = {'core protocol': 16896, 'core protocol system': 18560, 'all': 25088}
# of libshm.a and libshm-firmware.a, everything in them, before they are linked
WHOLE = 52 * 1024


def build(folder, target, *options, files=()):
    try:
        return cross.build(ROOT, os.path.join(FOLDER, folder), target, *options, files=files)
    except cross.Broken as broken:
        raise tap.Failed(str(broken)) from broken


def compiles(target, words):
    def case():
        if words:
            build(target, target, '-Dtests=false')
        else:
            build(f'{target}-terse', target, '-Dtests=false', '-Dreasons=false')

    return f'it_compiles_for_{target}' + ('' if words else '_without_words'), case


def check(what, size, limit):
    print(f'# {what}: {size} bytes, at most {limit}')
    if size > limit:
        raise tap.Failed(f'{what}: {size} bytes are more than {limit}')


def firmware_is_small():
    program = 'tests/firmware/board/board-increment.elf'
    built = build('riscv64-small', 'riscv64', '-Db_lto=true', '-Dreasons=false', files=[program])
    areas = sizes.areas(os.path.join(built, program))
    for area, files in sorted(areas.items()):
        print(f'# {area} {sum(files.values())}: '
              + ', '.join(f'{file} {size}' for file, size in files.most_common() if size))
    total = {area: sum(files.values()) for area, files in areas.items()}
    for what, limit in SMALL.items():
        check(what, sum(total.values()) if what == 'all' else
              sum(total[area] for area in what.split()), limit)


def whole_library_is_small():
    built = build('riscv64', 'riscv64', '-Dtests=false')
    check('all that there is', sum(
        sizes.archive(os.path.join(built, path))
        for path in ('libshm/system/generic/libshm.a', 'interop/rproc/firmware/libshm-firmware.a')),
        WHOLE)


def riscv(program, harts):
    """What a program says on a machine that has nothing else."""
    return subprocess.run(
        ['qemu-system-riscv64', '-M', 'virt', '-smp', str(harts), '-m', '64M', '-bios', 'none',
         '-nographic', '-monitor', 'none', '-nic', 'none', '-kernel', program],
        check=False, text=True, errors='replace', stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)


def passes_on_riscv(name, harts):
    def case():
        folder = build('riscv64-harts', 'riscv64', f'-Dprocessors={harts}')
        answer = riscv(os.path.join(folder, 'tests', 'firmware', 'bare', name), harts)
        cases = tap.parse(answer.stdout)
        bad = [case.name for case in cases if case.state != 'passed']
        if bad or not cases or answer.returncode:
            raise tap.Failed(f'status {answer.returncode}, failed: {", ".join(bad)}\n'
                             f'{answer.stdout}')
        print(f'# {len(cases)} cases')

    return f'{name}_passes_on_riscv', case


if __name__ == '__main__':
    sys.exit(tap.main([
        *[compiles(target, True) for target in ('aarch64', 'riscv64', 'thumbv7')],
        compiles('thumbv7', False),
        ('firmware_is_small', firmware_is_small),
        ('whole_library_is_small', whole_library_is_small),
        passes_on_riscv('test_firmware', 2),
        passes_on_riscv('test_firmware_request', 2),
        passes_on_riscv('test_generic', 2),
        passes_on_riscv('test_generic_lock', 2),
    ], sys.argv[3:]))
