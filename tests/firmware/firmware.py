#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The library without an operating system: ROOT FOLDER

It compiles for each processor, and its unit test runs on RISC-V, in a machine of two harts.
"""

import os
import subprocess
import sys

import cross

ROOT, FOLDER = sys.argv[1:3]
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
import tap      # noqa: E402

SECONDS = 120


def compiles(target):
    def case():
        try:
            cross.build(ROOT, os.path.join(FOLDER, target), target, '-Dtests=false')
        except cross.Broken as broken:
            raise tap.Failed(str(broken)) from broken

    return f'it_compiles_for_{target}', case


def riscv(program, harts):
    """What a program says on a machine that has nothing else."""
    return subprocess.run(
        ['qemu-system-riscv64', '-M', 'virt', '-smp', str(harts), '-m', '64M', '-bios', 'none',
         '-nographic', '-monitor', 'none', '-nic', 'none', '-kernel', program],
        check=False, text=True, errors='replace', stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)


def passes_on_riscv(name, harts):
    def case():
        try:
            folder = cross.build(ROOT, os.path.join(FOLDER, 'riscv64-harts'), 'riscv64',
                                 f'-Dprocessors={harts}')
        except cross.Broken as broken:
            raise tap.Failed(str(broken)) from broken
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
        *[compiles(target) for target in ('aarch64', 'riscv64', 'thumbv7')],
        passes_on_riscv('test_firmware', 2),
        passes_on_riscv('test_firmware_request', 2),
        passes_on_riscv('test_generic', 2),
        passes_on_riscv('test_generic_lock', 2),
    ], sys.argv[3:]))
