#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Install the tree somewhere, and build and run programs against what lies there then.

ROOT BUILD cc=COMMAND cxx=COMMAND consumer=FILE adapter=NAME...
"""

import functools
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

ROOT, BUILD = sys.argv[1:3]
OPTIONS = [argument.split('=', 1) for argument in sys.argv[3:] if '=' in argument]
CC, CXX, CONSUMER = [dict(OPTIONS)[key] for key in ('cc', 'cxx', 'consumer')]
ADAPTERS = [value for key, value in OPTIONS if key == 'adapter']
LIBRARIES = ['libshm'] + [f'libshm-{name}' for name in ADAPTERS]
TRAMPOLINE = 'libshm-cl-import'
STRICT = ['-Wall', '-Wextra', '-Werror']

sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
import tap      # noqa: E402


def run(argv, **more):
    answer = subprocess.run(argv, check=False, text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if answer.returncode:
        raise tap.Failed(f'{shlex.join(argv)}: status {answer.returncode}\n{answer.stdout}')
    return answer.stdout


@functools.lru_cache(maxsize=None)
def installed():
    """Where the tree was installed: the folder that stands for /."""
    folder = tempfile.mkdtemp(prefix='install.', dir=WORK)
    run(['meson', 'install', '-C', BUILD, '--no-rebuild', '--quiet'],
        env={**os.environ, 'DESTDIR': folder})
    return folder


def pkg_config(*arguments):
    configs = glob.glob(f'{installed()}/**/pkgconfig', recursive=True)
    if not configs:
        raise tap.Failed('no pkgconfig folder was installed')
    system = run(['pkg-config', '--variable', 'pc_path', 'pkg-config']).strip()
    text = run(['pkg-config', *arguments], env={
        **os.environ, 'PKG_CONFIG_LIBDIR': ':'.join(configs + [system])})
    # PKG_CONFIG_SYSROOT_DIR would move the system's own folders too.
    return [move(word) for word in shlex.split(text)]


def move(word):
    for option in ('-I', '-L'):
        if word.startswith(option) and os.path.isdir(installed() + word[len(option):]):
            return option + installed() + word[len(option):]
    return word


def library_path():
    libraries = glob.glob(f'{installed()}/**/libshm.so', recursive=True)
    if not libraries:
        raise tap.Failed('no libshm.so was installed')
    return os.path.dirname(libraries[0])


def build_and_run(compiler, source, packages, *flags, execute=True):
    program = os.path.join(WORK, 'program')
    run(shlex.split(compiler) + [*STRICT, *flags, source, '-o', program] +
        pkg_config('--cflags', '--libs', *packages))
    if execute:
        return run([program], env={**os.environ, 'LD_LIBRARY_PATH': library_path()}, timeout=60)
    return ''


def version():
    return pkg_config('--modversion', 'libshm')[0]


def consumer(compiler, *flags):
    printed = build_and_run(compiler, CONSUMER, ['libshm'], *flags)
    if printed != f'hello {version()}\n':
        raise tap.Failed(f'it printed {printed}')


def a_c_program_builds_by_pkg_config_and_runs():
    consumer(CC, '-std=gnu11')


def a_cxx_program_builds_by_pkg_config_and_runs():
    consumer(CXX, '-std=c++17', '-x', 'c++')


def the_first_sample_builds_by_pkg_config():
    samples = glob.glob(f'{ROOT}/samples/01-*.c')
    if not samples:
        raise tap.Failed('there is no samples/01-*.c')
    build_and_run(CC, samples[0], LIBRARIES, '-std=gnu11', execute=False)


def the_example_in_the_readme_builds():
    with open(f'{ROOT}/README.md', encoding='utf-8') as file:
        examples = re.findall(r'^```c\n(.*?)^```$', file.read(), re.S | re.M)
    if not examples:
        raise tap.Failed('there is no example in README.md')
    if not {'drm', 'v4l2'} <= set(ADAPTERS):
        return
    for example in examples:
        source = os.path.join(WORK, 'example.c')
        with open(source, 'w', encoding='utf-8') as file:
            file.write(example)
        build_and_run(CC, source, ['libshm-v4l2', 'libshm-drm'], '-std=gnu11', execute=False)


def each_library_is_found_by_its_name():
    for name in LIBRARIES:
        source = os.path.join(WORK, 'all.c')
        header = 'shm' if name == 'libshm' else name.split('-')[1]
        with open(source, 'w', encoding='utf-8') as file:
            file.write(f'#include <shm/{header}.h>\nint main(void)\n{{\n\treturn 0;\n}}\n')
        build_and_run(CC, source, [name], '-Wl,--no-as-needed')


def each_public_header_is_installed_and_no_other():
    folders = [f'{ROOT}/libshm'] + [f'{ROOT}/interop/{name}' for name in ADAPTERS]
    public = {os.path.basename(path) for folder in folders
              for path in glob.glob(f'{folder}/include/shm/*.h')}
    there = {os.path.basename(path)
             for path in glob.glob(f'{installed()}/**/include/**/*.h', recursive=True)}
    tap.check([f'{name} is missing' for name in sorted(public - there)] +
              [f'{name} is installed' for name in sorted(there - public)])


def installed_file(name):
    paths = glob.glob(f'{installed()}/**/{name}', recursive=True)
    if len(paths) != 1:
        raise tap.Failed(f'{name}: {paths}')
    return paths[0]


def the_layer_exports_what_a_loader_asks_for():
    if 'opencl' not in ADAPTERS:
        return
    symbols = run(['nm', '-D', '--defined-only', installed_file('libshm_cl_layer.so')])
    exported = {line.split()[-1] for line in symbols.splitlines()}
    if exported != {'clGetLayerInfo', 'clInitLayer'}:
        raise tap.Failed(f'{exported}')


def a_program_finds_the_layer_by_the_wrapper_and_the_trampoline():
    """The wrapper looks where the layer is once the tree is no longer below another folder."""
    if 'opencl' not in ADAPTERS:
        return
    wrapper, layer = installed_file('shm-cl'), installed_file('libshm_cl_layer.so')
    with open(wrapper, encoding='utf-8') as file:
        if f':-{layer[len(installed()):]}}}' not in file.read():
            raise tap.Failed(f'it does not name {layer}')
    build_and_run(CC, f'{ROOT}/tests/layer/trampoline.c', [TRAMPOLINE], '-std=gnu11', execute=False)
    environment = {'OCL_ICD_VENDORS': '/etc/OpenCL/vendors/pocl.icd', **os.environ,
                   'LD_LIBRARY_PATH': library_path(), 'LIBSHM_CL_LAYER': layer,
                   'OPENCL_LAYERS': ''}
    program = os.path.join(WORK, 'program')
    for argv, expected in (([program], '-59 untouched'), ([wrapper, program], '0 shared'),
                           ([wrapper, program, f'{TRAMPOLINE}.so.0'], '0 shared')):
        printed = run(argv, env=environment, timeout=60).strip()
        if printed != expected:
            raise tap.Failed(f'{argv}: {printed}')


def each_library_carries_its_soversion():
    for name in LIBRARIES + ([TRAMPOLINE] if 'opencl' in ADAPTERS else []):
        path = os.path.join(library_path(), f'{name}.so')
        dynamic = run(['readelf', '-d', path])
        if f'[{name}.so.0]' not in dynamic:
            raise tap.Failed(dynamic)


if __name__ == '__main__':
    with tempfile.TemporaryDirectory(prefix='install.') as WORK:
        sys.exit(tap.main([(case.__name__, case) for case in (
            a_c_program_builds_by_pkg_config_and_runs,
            a_cxx_program_builds_by_pkg_config_and_runs,
            the_first_sample_builds_by_pkg_config,
            the_example_in_the_readme_builds,
            each_library_is_found_by_its_name,
            each_public_header_is_installed_and_no_other,
            each_library_carries_its_soversion,
            the_layer_exports_what_a_loader_asks_for,
            a_program_finds_the_layer_by_the_wrapper_and_the_trampoline,
        )], sys.argv[1:]))
