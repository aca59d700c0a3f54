#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each public function has its contract before it: parameters, result, errors."""

import re
import sys

import tree as lint


def contracts(tree):
    for header in tree.public_headers():
        for function in lint.functions(tree, header):
            yield f'{header}:{function.line}: {function.name}', function


def result_text(function):
    """What follows @return, up to the next tag."""
    found = re.search(r'@return\b(.*?)(?=\n\s*\*\s*@|\Z)', function.doc, re.S)
    return found[1] if found else ''


def each_function_has_a_doc_comment(tree):
    for where, function in contracts(tree):
        if not function.doc.startswith('/**'):
            yield where


def each_parameter_is_described(tree):
    for where, function in contracts(tree):
        for parameter in function.parameters:
            if not re.search(rf'@param\s+{parameter}\b', function.doc):
                yield f'{where}: no @param {parameter}'


def no_parameter_is_described_that_is_not_there(tree):
    for where, function in contracts(tree):
        for parameter in re.findall(r'@param\s+(\w+)', function.doc):
            if parameter not in function.parameters:
                yield f'{where}: @param {parameter}'


def each_result_is_described(tree):
    for where, function in contracts(tree):
        if function.returns != 'void' and not result_text(function).strip():
            yield f'{where}: no @return'
        if function.returns == 'void' and '@return' in function.doc:
            yield f'{where}: @return of void'


def each_error_is_named(tree):
    for where, function in contracts(tree):
        text = result_text(function)
        if re.search(r'\bas metal_shm_\w+\(\)', text):
            continue
        if function.returns == 'int' and not re.search(r'-E[A-Z]|[Nn]ever fails|-error\b', text):
            yield f'{where}: @return names no -ERRNO (or says "never fails")'
        if function.returns.endswith('*') and not re.search(r'\bNULL\b', text):
            yield f'{where}: @return says nothing of NULL ("never NULL" will do)'


if __name__ == '__main__':
    sys.exit(lint.main([
        each_function_has_a_doc_comment,
        each_parameter_is_described,
        no_parameter_is_described_that_is_not_there,
        each_result_is_described,
        each_error_is_named,
    ]))
