#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each case of each lint passes a small good tree, and fails once that tree is made bad.

cc=COMMAND cxx=COMMAND
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'support'))
import tap      # noqa: E402

LINTS = ('docs', 'headers', 'layers', 'registers', 'symbols', 'text', 'tools')
OPTIONS = dict(argument.split('=', 1) for argument in sys.argv[1:] if '=' in argument)

C = '/* SPDX-License-Identifier: BSD-3-Clause */\n'
HASH = '# SPDX-License-Identifier: BSD-3-Clause\n'


def header(guard, declarations):
    return (f'{C}#ifndef {guard}\n#define {guard}\n\n#ifdef __cplusplus\nextern "C" {{\n#endif\n\n'
            f'{declarations}\n#ifdef __cplusplus\n}}\n#endif\n\n#endif\n')


GET = '''/**
 * Answer a number.
 *
 * @param from  where from
 * @param ask   how
 * @return 0; -EINVAL it is odd
 */
int metal_shm_get(const char *from, int (*ask)(void *user, int odd));
'''
DRM = '''/** A callback. */
typedef void (*metal_shm_drm_done)(void);

/**
 * Answer a text.
 *
 * @return a constant, never NULL
 */
const char *metal_shm_drm_name(void);
'''
V4L2 = '''/**
 * Count the cameras.
 *
 * @return how many; never fails
 */
int metal_shm_v4l2_count(void);
'''
CORE = C + '''#include <errno.h>

#include <shm/shm.h>

#include "core.h"
#include "system.h"

/* Nothing here takes memory from a memfd. */
int metal_shm_get(const char *from, int (*ask)(void *user, int odd))
{
	if (!from)
		return -EINVAL;
	return ask((void *)0, 1);
}
'''
ADAPTER = C + '''#include <shm/drm.h>
#include <shm/shm.h>

const char *metal_shm_drm_name(void)
{
	return "a name";
}
'''
MAP = HASH.replace('#', '/*', 1).replace('\n', ' */\n') + '''LIBSHM_0.1 {
global:
	metal_shm_get;
local:
	*;
};
'''
MUTANT = HASH + '''
file libshm/core/core.c
test test_core
why  NULL would be followed
-	if (!from)
+	if (from)
'''
MESON = HASH + "executable('test_core', 'test_core.c')\n"

GOOD = {
    'LICENSES/BSD-3-Clause.txt': 'the text\n',
    'LICENSES/GPL-2.0-only.txt': 'the text\n',
    'README.md': 'libshm\n',
    '.clang-format': open(os.path.join(HERE, '../../.clang-format'), encoding='utf-8').read(),
    '.clang-tidy': open(os.path.join(HERE, '../../.clang-tidy'), encoding='utf-8').read(),
    'meson.build': HASH,
    'libshm/meson.build': HASH + "core = files('core/core.c')\nlibshm_internal_dep = 1\n",
    'libshm/libshm.map': MAP,
    'libshm/include/shm/shm.h': header('SHM_H', GET),
    'libshm/core/core.h': C,
    'libshm/core/core.c': CORE,
    'libshm/system/system.h': C,
    'libshm/protocol/record.h': C + '#include <stdint.h>\n',
    'interop/drm/meson.build': HASH + "files('drm.c')\n",
    'interop/drm/libshm-drm.map': MAP.replace('metal_shm_get', 'metal_shm_drm_name'),
    'interop/drm/include/shm/drm.h': header('DRM_H', DRM),
    'interop/drm/drm.c': ADAPTER,
    'interop/v4l2/meson.build': HASH,
    'interop/v4l2/libshm-v4l2.map': MAP.replace('metal_shm_get', 'metal_shm_v4l2_count'),
    'interop/v4l2/include/shm/v4l2.h': header('V4L2_H', V4L2),
    'samples/meson.build': HASH + "executable('01-get', '01-get.c')\n",
    'samples/01-get.c': C + '#include <shm/drm.h>\n\n#include "01-get.h"\n',
    'samples/01-get.h': C,
    'tests/unit/meson.build': MESON,
    'tests/unit/test_core.c': C,
    'tests/mutants/core.list': MUTANT,
    'scripts/hello': '#!/bin/sh\n' + HASH + 'echo hello\n',
    'scripts/hello.py': '#!/usr/bin/env python3\n' + HASH + 'print(1)\n',
}


def added(name, text):
    return {name: GOOD[name] + text}


def replaced(name, old, new):
    assert old in GOOD[name]
    return {name: GOOD[name].replace(old, new)}


DRM_HEADER, SHM_HEADER, SHM_MAP = ('interop/drm/include/shm/drm.h', 'libshm/include/shm/shm.h',
                                   'libshm/libshm.map')
CORE_FILE, DRM_FILE = 'libshm/core/core.c', 'interop/drm/drm.c'

# What makes the tree bad for each case: files that replace the good ones. None: without the file.
BAD = {
    'docs': {
        'each_function_has_a_doc_comment': [
            replaced(SHM_HEADER, '/**', '/*'),
            replaced(SHM_HEADER, 'int metal_shm_get', 'int metal_shm_put(void);\nint metal_shm_get')],
        'each_parameter_is_described': [
            replaced(SHM_HEADER, '@param ask ', '@param asks'),
            replaced(SHM_HEADER, ' * @param from  where from\n', '')],
        'no_parameter_is_described_that_is_not_there': [
            replaced(SHM_HEADER, '@return', '@param odd  no\n * @return')],
        'each_result_is_described': [
            replaced(SHM_HEADER, '@return', 'Answers'),
            replaced(SHM_HEADER, 'int metal_shm_get', 'void metal_shm_get')],
        'each_error_is_named': [
            replaced(SHM_HEADER, '-EINVAL', 'not 0'),
            replaced(DRM_HEADER, ', never NULL', '')],
    },
    'headers': {
        'each_header_compiles_alone_as_c11': [
            replaced(SHM_HEADER, 'int odd', 'uint32_t odd'),
            replaced(DRM_HEADER, 'char *', 'bool *')],
        'each_header_compiles_alone_as_cxx17': [
            replaced(SHM_HEADER, 'int odd', 'int this'),
            replaced(DRM_HEADER, 'char *', 'struct this *')],
    },
    'layers': {
        'core_and_protocol_include_nothing_of_an_os': [
            added(CORE_FILE, '#include <unistd.h>\n'),
            added('libshm/core/core.h', '# include <linux/udmabuf.h>\n'),
            added('libshm/protocol/record.h', '#include <sys/mman.h>\n'),
            added(CORE_FILE, '#include <shm/linux.h>\n'),
            {**added(CORE_FILE, '#include "os.h"\n'), 'libshm/system/linux/os.h': C}],
        'protocol_includes_only_freestanding_headers': [
            added('libshm/protocol/record.h', '#include <stdlib.h>\n')],
        'core_and_protocol_name_no_source_or_adapter': [
            added(CORE_FILE, 'static int udmabuf_open;\n'),
            added(CORE_FILE, 'static const char *name = "heap:system";\n'),
            added('libshm/protocol/record.h', 'int metal_shm_v4l2_open(void);\n'),
            {**added(CORE_FILE, 'static int npu_open;\n'), 'interop/npu/npu.h': C}],
        'libshm_includes_no_adapter': [
            {'libshm/source/heap.c': C + '#include <shm/drm.h>\n'},
            {'libshm/system/linux/os.c': C + '#include <CL/cl.h>\n'}],
        'adapters_include_only_libshms_public_headers': [
            {'interop/v4l2/v4l2.c': C + '#include <shm/drm.h>\n'},
            added(DRM_FILE, '#include "core.h"\n'),
            added(DRM_FILE, '#include "libshm/core/core.h"\n')],
        'tools_and_samples_include_only_public_headers': [
            added('samples/01-get.c', '#include "core.h"\n'),
            added('samples/01-get.c', '#include <shm/core.h>\n'),
            {'tools/shm-info/main.c': C + '#include "system.h"\n'}],
        'no_include_climbs_out_of_its_folder': [
            added(CORE_FILE, '#include "../system/system.h"\n'),
            {'tests/unit/test_core.c': C + '#include "../../libshm/core/core.h"\n'}],
        'only_tests_link_with_internals': [
            added('interop/drm/meson.build', 'x = libshm_internal_dep\n'),
            added('samples/meson.build', 'x = libshm_internal_dep\n')],
    },
    'registers': {
        'each_c_file_is_built': [
            {'libshm/core/forgotten.c': C},
            {'tests/unit/test_forgotten.c': C},
            {'libshm/meson.build': HASH + "files('core/score.c', 'core/core.cc')\n"}],
        'each_core_file_has_a_mutant': [
            {'libshm/core/second.c': C},
            {'tests/mutants/core.list': HASH}],
        'each_mutant_fits_its_file': [
            replaced(CORE_FILE, 'if (!from)', 'if (from == 0)'),
            replaced(CORE_FILE, '\t\treturn', '\tif (!from)\n\t\treturn'),
            replaced('tests/mutants/core.list', '+\tif (from)', '+\tif (!from)'),
            replaced('tests/mutants/core.list', 'why  NULL would be followed\n', ''),
            replaced('tests/mutants/core.list', 'test_core', 'test_gone'),
            replaced('tests/mutants/core.list', 'core/core.c', 'core/gone.c')],
    },
    'symbols': {
        'each_library_has_a_map': [{SHM_MAP: None}, {'interop/drm/libshm-drm.map': None}],
        'maps_spell_each_name_out_once': [
            replaced(SHM_MAP, 'metal_shm_get;', 'metal_shm_*;'),
            replaced(SHM_MAP, 'metal_shm_get;', 'metal_shm_get; metal_shm_get;'),
            replaced(SHM_MAP, '\t*;', '\tother;')],
        'maps_list_what_headers_declare': [
            replaced(SHM_MAP, '\tmetal_shm_get;\n', ''),
            replaced(SHM_MAP, 'metal_shm_get;', 'metal_shm_get; metal_shm_put;'),
            replaced(DRM_HEADER, 'metal_shm_drm_name(', 'metal_shm_drm_names(')],
        'public_names_begin_with_metal_shm': [replaced(SHM_HEADER, 'metal_shm_get', 'shm_get')],
        'libraries_export_what_maps_list': [
            replaced(CORE_FILE, 'metal_shm_get(', 'metal_shm_put('),
            {'exported.map': '{ global: *; };\n', **added(CORE_FILE, 'int more = 1;\n')}],
    },
    'text': {
        'each_source_begins_with_its_licence': [
            {CORE_FILE: '\n' + CORE}, {'scripts/hello': '#!/bin/sh\necho hello\n'},
            {'meson.build': "project('x')\n"}],
        'kernel_modules_alone_are_gpl': [
            {CORE_FILE: CORE.replace('BSD-3-Clause', 'GPL-2.0-only')},
            {'interop/rproc/kmod/importer.c': C}],
        'each_licence_has_its_text': [{'LICENSES/BSD-3-Clause.txt': None}],
        'no_file_names_a_path_of_one_machine': [
            added('README.md', 'see /home/' + 'someone/libshm\n'),
            added(CORE_FILE, 'static const char *place = "%(root)s/libshm";\n')],
        'nothing_is_left_open_without_an_issue': [
            added(CORE_FILE, '/* TO' + 'DO: more */\n'), added('scripts/hello', '# FIX' + 'ME\n')],
        'c_files_have_at_most_500_lines': [
            added(CORE_FILE, '/* more */\n' * 500), added('libshm/core/core.h', '\n' * 500)],
        'samples_have_less_than_200_lines': [added('samples/01-get.c', '/* more */\n' * 200)],
        'readme_has_at_most_100_lines': [added('README.md', 'more\n' * 100)],
        'lines_end_in_no_blank': [added(CORE_FILE, 'int a; \n'), added(CORE_FILE, '/* no newline */')],
    },
    'tools': {
        'c_is_formatted': [
            replaced(CORE_FILE, '\tif (!from)', '    if (!from)'),
            replaced(SHM_HEADER, 'char *from', 'char* from')],
        'clang_tidy_finds_nothing': [
            replaced(CORE_FILE, 'return -EINVAL', 'return *from'),
            replaced(CORE_FILE, 'return ask', 'if (ask == 0)\n\t\treturn 0;\n\treturn 1 / (ask == 0)')],
        'shellcheck_finds_nothing': [added('scripts/hello', 'echo $1\n')],
        'python_compiles': [added('scripts/hello.py', 'print(\n')],
    },
}


def write(root, files):
    for name, text in files.items():
        if text is None:
            continue
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text.replace('%(root)s', root))


def build(root, files):
    """What meson would leave: compile_commands.json, and libshm.so where symbols want it."""
    sources = [CORE_FILE, DRM_FILE]
    flags = '-Ilibshm/include -Ilibshm/system -Iinterop/drm/include'
    commands = [{'directory': root, 'file': name, 'command': f'cc {flags} -c {name}'}
                for name in sources]
    write(root, {'build/compile_commands.json': json.dumps(commands)})
    library = os.path.join(root, 'build', 'libshm.so')
    if files is not None:
        version_map = 'exported.map' if 'exported.map' in files else SHM_MAP
        subprocess.run([*shlex.split(OPTIONS['cc']), '-shared', '-fPIC', *flags.split(), '-o', library,
                        CORE_FILE, f'-Wl,--version-script={version_map}',
                        '-Wl,--undefined-version'], cwd=root, check=True,
                       stderr=subprocess.PIPE)
    return ['build=' + os.path.join(root, 'build')] + (['built=' + library] if files is not None
                                                      else [])


def lint(name, root, built, case='*'):
    argv = [sys.executable, os.path.join(HERE, name + '.py'), root, 'adapter=drm', 'adapter=v4l2',
            *[f'{key}={value}' for key, value in OPTIONS.items()], *built, '--only', case]
    return subprocess.run(argv, check=False, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def run(name, case, changes):
    """The lint's cases on the good tree with changes."""
    with tempfile.TemporaryDirectory(prefix='lint.') as root:
        write(root, {**GOOD, **changes})
        built = build(root, changes if name == 'symbols' and SHM_MAP not in changes else None)
        answer = lint(name, root, built, case)
    return answer.stdout, tap.parse(answer.stdout)


def passes_a_good_tree(name):
    output, cases = run(name, '*', {})
    tap.check([] if cases and all(case.state == 'passed' for case in cases) else [output])


def has_a_bad_tree_for_each_case(name):
    listed = subprocess.run([sys.executable, os.path.join(HERE, name + '.py'), '.', '--list'],
                            check=True, text=True, stdout=subprocess.PIPE).stdout.split()
    tap.check(f'{case}: none' for case in sorted({*listed} ^ {*BAD[name]}))


def fails_each_bad_tree(name, case):
    for number, changes in enumerate(BAD[name][case], 1):
        output, cases = run(name, case, changes)
        if [found.state for found in cases] != ['failed'] or 'Traceback' in output:
            raise tap.Failed(f'bad tree {number} passes, or breaks the lint:\n{output}')


def cases():
    for name in LINTS:
        yield f'{name}_passes_a_good_tree', lambda name=name: passes_a_good_tree(name)
        yield (f'{name}_has_a_bad_tree_for_each_case',
               lambda name=name: has_a_bad_tree_for_each_case(name))
        for case in BAD[name]:
            yield (f'{name}_{case}_can_fail',
                   lambda name=name, case=case: fails_each_bad_tree(name, case))


if __name__ == '__main__':
    sys.exit(tap.main(list(cases()), sys.argv[1:]))
