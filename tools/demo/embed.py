#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Make a text file a C string: embed.py NAME INPUT OUTPUT."""

import sys

name, source, target = sys.argv[1:]
with open(source, encoding='ascii') as file:
    lines = file.read().splitlines()
with open(target, 'w', encoding='ascii') as file:
    file.write(f'const char {name}[] =\n')
    for line in lines:
        escaped = line.replace('\\', '\\\\').replace('"', '\\"').replace('\t', '\\t')
        file.write(f'\t"{escaped}\\n"\n')
    file.write(';\n')
