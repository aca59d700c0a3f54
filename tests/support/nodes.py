# SPDX-License-Identifier: BSD-3-Clause
"""The board's device nodes, whose numbers change from boot to boot."""

import glob
import os
import re


def video(name):
    """The node of the video device whose name matches, e.g. 'vim2m' or a pattern."""
    for path in sorted(glob.glob('/sys/class/video4linux/video*/name')):
        with open(path, encoding='utf-8') as file:
            if re.fullmatch(name, file.read().strip()):
                return '/dev/' + os.path.basename(os.path.dirname(path))
    raise RuntimeError(f'no video device is called {name}')


def camera():
    return video(r'vivid-\d+-vid-cap')


def card(driver='vkms'):
    for path in sorted(glob.glob('/sys/class/drm/card?')):
        if os.path.basename(os.path.realpath(path + '/device')) == driver:
            return '/dev/dri/' + os.path.basename(path)
    raise RuntimeError(f'no card of {driver}')
