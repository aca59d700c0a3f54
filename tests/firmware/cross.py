# SPDX-License-Identifier: BSD-3-Clause
"""Builds of the tree for processors without an operating system, each in a folder of its own.

    cross.py ROOT FOLDER TARGET OUTPUT=FILE... [-DOPTION...]    build each FILE, and copy it to OUTPUT
"""

import os
import shutil
import subprocess
import sys


class Broken(Exception):
    """A build that failed; the text is its output."""


def run(argv):
    answer = subprocess.run(argv, check=False, text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if answer.returncode:
        lines = answer.stdout.splitlines()[-40:]
        raise Broken('\n'.join([f'{" ".join(argv)}: status {answer.returncode}', *lines]))
    return answer.stdout


def build(root, folder, target, *options, files=()):
    """Make it or these files of it, or what has changed; libshm/system/generic/cross names the targets."""
    if not os.path.exists(os.path.join(folder, 'build.ninja')):
        cross = os.path.join(root, 'libshm', 'system', 'generic', 'cross', f'{target}.ini')
        run(['meson', 'setup', folder, root, '--cross-file', cross, '-Dsystem=generic', *options])
    run(['ninja', '-C', folder, *files])
    return folder


def main(root, folder, target, *more):
    options = [word for word in more if word.startswith('-')]
    copies = [word.split('=', 1) for word in more if word not in options]
    try:
        build(root, folder, target, *options, files=[name for _, name in copies])
    except Broken as broken:
        sys.exit(str(broken))
    for output, name in copies:
        built = os.path.join(folder, name)
        if not os.path.exists(output) or os.path.getmtime(output) < os.path.getmtime(built):
            shutil.copy2(built, output)


if __name__ == '__main__':
    main(*sys.argv[1:])
