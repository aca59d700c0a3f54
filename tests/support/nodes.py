# SPDX-License-Identifier: BSD-3-Clause
"""The board's device nodes, whose numbers change from boot to boot."""

import fcntl
import glob
import os
import re
import struct


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


QUERYCTRL, S_CTRL, NEXT = 0xc0445624, 0xc008561c, 0x80000000
CONTROL = struct.Struct('=II32siiiiIII')


def set_control(node, name, value):
    """Set a control of a video device by its name; menus by number."""
    number = 0
    with open(node, 'rb', buffering=0) as file:
        while True:
            answer = bytearray(CONTROL.pack(number | NEXT, 0, b'', *[0] * 7))
            fcntl.ioctl(file, QUERYCTRL, answer)    # fails behind the last one
            number, _, found, *_ = CONTROL.unpack(answer)
            if found.rstrip(b'\0').decode() == name:
                fcntl.ioctl(file, S_CTRL, struct.pack('=Ii', number, value))
                return
