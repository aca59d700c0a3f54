# SPDX-License-Identifier: BSD-3-Clause
"""How much of a linked firmware came from which source file.

Link-time optimisation makes one of many functions, so symbols tell little; the lines of the debugger's table tell of
each instruction whose it was before. Constants have no lines and are counted as a whole.
"""

import collections
import re
import subprocess

TOOLS = 'riscv64-unknown-elf-'

# In this order: the first that a file's path contains.
AREAS = {
    'core': ('libshm/core/', 'libshm/processor/'),
    'protocol': ('libshm/protocol/',),
    'system': ('libshm/system/generic/',),
    'host': ('interop/rproc/firmware/host.c', 'interop/rproc/firmware/events.c',
             'interop/rproc/firmware/memory.c', 'interop/rproc/firmware/piece.c'),
    'channel': ('interop/rproc/firmware/rpmsg.c', 'interop/rproc/firmware/ring.c'),
    'firmware': ('interop/rproc/firmware/examples/', 'tests/firmware/board/'),
}
REST = 'C library'
CONSTANTS = 'constants'


def output(tool, *words):
    return subprocess.run([TOOLS + tool, *words], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def sections(program):
    """Address and size by name."""
    table = {}
    for line in output('size', '-A', program).splitlines():
        words = line.split()
        if len(words) == 3 and words[2].isdigit():
            table[words[0]] = (int(words[2]), int(words[1]))
    return table


def lines(program):
    """Address and path of each row of the line table, in the order of addresses."""
    rows, path = [], ''
    for line in output('objdump', '--dwarf=decodedline', program).splitlines():
        header = re.fullmatch(r'(?:CU: )?(\S+):(?:\[\+\+\])?', line)
        if header:
            path = header[1]
            continue
        words = line.split()
        if len(words) > 2 and words[2].startswith('0x'):
            rows.append((int(words[2], 16), len(rows), path if path.endswith(words[0]) else words[0]))
    return [(address, path) for address, _, path in sorted(rows)]


def files(program):
    """Bytes of code by path, and the constants."""
    table = sections(program)
    start, size = table['.text']
    rows = [row for row in lines(program) if start <= row[0] < start + size]
    count = collections.Counter()
    for (address, path), (after, _) in zip(rows, rows[1:] + [(start + size, '')]):
        count[path] += after - address
    count[REST] += size - sum(count.values())
    count[CONSTANTS] = table['.rodata'][1]
    return count


def area_of(path):
    if path in (REST, CONSTANTS):
        return path
    for area, parts in AREAS.items():
        if any(part in path for part in parts):
            return area
    return REST


def areas(program):
    """Bytes by area, and by file below each."""
    table = collections.defaultdict(collections.Counter)
    for path, size in files(program).items():
        table[area_of(path)][path.rsplit('/', 1)[-1]] += size
    return table


def archive(path):
    """Code and constants of all that is in a library."""
    return sum(int(line.split()[0]) for line in output('size', path).splitlines()[1:])
