#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Arrows point one way: samples, tools -> interop/X -> libshm's public headers <- core."""

import os
import re
import sys

import tree as lint

# What a compiler brings along, and the part of C's library that bare metal has too.
FREESTANDING = set('''float.h iso646.h limits.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h
                      stdint.h stdnoreturn.h'''.split())
HOSTED = FREESTANDING | set('''assert.h ctype.h errno.h inttypes.h stdio.h stdlib.h
                               string.h'''.split())
PORTABLE_SHM = {'shm/shm.h', 'shm/frame.h', 'shm/observe.h', 'shm/device.h',
                'shm/lock.h'}
PORTABLE = ('libshm/core', 'libshm/protocol')
# Macros alone, of which a copy can lie beside any compiler.
HEADER_ONLY = {'bsd/sys/tree.h'}
# Beside which a folder of the platform's stands, for firmware without words.
WORDS = 'libshm/core/words'
FOREIGN = re.compile(r'^(CL/|libdrm/|drm/|drm|xf86drm|linux/videodev2\.h|libv4l)')
# Sources, importers and adapters that no file of the tree names yet, and other names for them.
NAMES = {'memfd', 'udmabuf', 'dma_heap', 'drm', 'v4l2', 'opencl', 'rproc', 'vfio', 'uio',
         'gstreamer', 'vivid', 'vkms'}


def in_folder(name, *folders):
    return any(name.startswith(folder + '/') for folder in folders)


def adapter_of(name):
    return name.split('/')[1]


def complaints(tree, files, allowed):
    for name in files:
        for line, kind, header in tree.includes(name):
            reason = allowed(name, kind, header)
            if reason:
                yield f'{name}:{line}: {header}: {reason}'


def beside(tree, name, header, *folders):
    """Whether a quoted header lies in the file's folder or one of these."""
    return any(os.path.isfile(tree.path(os.path.join(folder, header)))
               for folder in (os.path.dirname(name), *folders))


def core_and_protocol_include_nothing_of_an_os(tree):
    def allowed(name, kind, header):
        if kind == '"':
            if header != 'system.h' and not beside(tree, name, header, *PORTABLE, WORDS):
                return 'not a portable header'
        elif header.startswith('shm/'):
            if header not in PORTABLE_SHM:
                return 'only ' + ', '.join(sorted(PORTABLE_SHM))
        elif header not in HOSTED | HEADER_ONLY:
            return 'bare metal has no such header'
        return None

    files = [name for name in tree.c_files() if in_folder(name, *PORTABLE)]
    return complaints(tree, files, allowed)


def protocol_includes_only_freestanding_headers(tree):
    def allowed(_, kind, header):
        if kind == '<' and header not in FREESTANDING | {'string.h'} | PORTABLE_SHM:
            return 'not freestanding'
        return None

    files = [name for name in tree.c_files() if in_folder(name, 'libshm/protocol')]
    return complaints(tree, files, allowed)


def core_and_protocol_name_no_source_or_adapter(tree):
    names = set(NAMES)
    names |= {adapter_of(name) for name in tree.files('interop/*/*')}
    pattern = re.compile(r'(?<![A-Za-z0-9])(%s)(?![A-Za-z0-9])|"(heap|carveout|anon|peer)[:"]' %
                         '|'.join(sorted(names)), re.I)
    for name in tree.c_files():
        if not in_folder(name, *PORTABLE):
            continue
        for number, line in enumerate(tree.code(name).splitlines(), 1):
            found = pattern.search(line)
            if found:
                yield f'{name}:{number}: names {found[1] or found[2]}'


def libshm_includes_no_adapter(tree):
    own = {os.path.basename(header)
           for header in tree.public_headers('libshm') + tree.platform_headers()
           if in_folder(header, 'libshm')}

    def allowed(_, kind, header):
        if kind == '<' and FOREIGN.match(header):
            return "an adapter's library"
        if header.startswith('shm/') and header[4:] not in own:
            return "an adapter's header"
        if 'interop' in header.split('/'):
            return 'an adapter'
        return None

    return complaints(tree, [name for name in tree.c_files() if in_folder(name, 'libshm')],
                      allowed)


def adapters_include_only_libshms_public_headers(tree):
    core = {os.path.basename(header) for header in tree.public_headers('libshm')}

    def allowed(name, kind, header):
        adapter = f'interop/{adapter_of(name)}'
        own = {os.path.basename(path) for path in tree.public_headers(adapter)}
        if in_folder(name, f'{adapter}/firmware'):
            own = {os.path.basename(path) for path in tree.platform_headers()}
        if header.startswith('shm/'):
            return None if header[4:] in core | own else "another adapter's header, or none"
        # what crosses to the other side is the adapter's too: it links those objects itself
        if kind == '"' and not beside(tree, name, header, adapter, 'libshm/protocol',
                                           f'{adapter}/firmware/words'):
            return f'not in {adapter}'
        return None

    return complaints(tree, [name for name in tree.c_files() if in_folder(name, 'interop')],
                      allowed)


# By its header a firmware and its host's program agree on what they tell one another.
FIRMWARE = 'interop/rproc/firmware/examples'


def tools_and_samples_include_only_public_headers(tree):
    public = {'shm/' + os.path.basename(header) for header in tree.public_headers()}

    def allowed(name, kind, header):
        if header.startswith('shm/'):
            return None if header in public else 'not a public header'
        if kind == '"' and not beside(tree, name, header, FIRMWARE):
            return 'not in its folder'
        return None

    return complaints(tree, [name for name in tree.c_files() if in_folder(name, 'tools', 'samples')],
                      allowed)


def no_include_climbs_out_of_its_folder(tree):
    def allowed(_, _kind, header):
        return 'climbs' if '..' in header.split('/') else None

    return complaints(tree, tree.c_files(), allowed)


def only_tests_link_with_internals(tree):
    for name in tree.files('*meson.build'):
        if in_folder(name, 'libshm', 'tests') or name == 'meson.build':
            continue
        for number, line in enumerate(tree.lines(name), 1):
            if 'libshm_internal_dep' in line.split('#')[0]:
                yield f'{name}:{number}: libshm_internal_dep'


if __name__ == '__main__':
    sys.exit(lint.main([
        core_and_protocol_include_nothing_of_an_os,
        protocol_includes_only_freestanding_headers,
        core_and_protocol_name_no_source_or_adapter,
        libshm_includes_no_adapter,
        adapters_include_only_libshms_public_headers,
        tools_and_samples_include_only_public_headers,
        no_include_climbs_out_of_its_folder,
        only_tests_link_with_internals,
    ]))
