# SPDX-License-Identifier: BSD-3-Clause
"""Pictures as the demo writes them: PNG, 8 bits of red, green and blue, not interlaced."""

import struct
import zlib


def _paeth(left, up, corner):
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))


def _unfilter(kind, line, before, step):
    if not kind:
        return line
    for at, byte in enumerate(line):
        left = line[at - step] if at >= step else 0
        corner = before[at - step] if at >= step else 0
        line[at] = (byte + (0, left, before[at], (left + before[at]) // 2,
                            _paeth(left, before[at], corner))[kind]) & 0xff
    return line


def _chunks(data):
    at = 8
    while at < len(data):
        length, kind = struct.unpack_from('>I4s', data, at)
        body = data[at + 8:at + 8 + length]
        if struct.unpack_from('>I', data, at + 8 + length)[0] != zlib.crc32(kind + body):
            raise ValueError(f'the checksum of {kind} is wrong')
        yield kind, body
        at += length + 12


def read(path):
    """Its lines, three bytes a pixel. ValueError: it is none of these."""
    with open(path, 'rb') as file:
        data = file.read()
    if data[:8] != b'\x89PNG\r\n\x1a\n':
        raise ValueError('not a PNG')
    chunks = list(_chunks(data))
    header = next(body for kind, body in chunks if kind == b'IHDR')
    width, height, depth, colour = struct.unpack('>IIBBBBB', header)[:4]
    if (depth, colour) != (8, 2):
        raise ValueError(f'depth {depth} and colour type {colour}, not RGB')
    raw = zlib.decompress(b''.join(body for kind, body in chunks if kind == b'IDAT'))
    size, lines = width * 3, [bytes(width * 3)]
    for number in range(height):
        start = number * (size + 1)
        lines.append(_unfilter(raw[start], bytearray(raw[start + 1:start + 1 + size]), lines[-1], 3))
    return lines[1:]
