# SPDX-License-Identifier: BSD-2-Clause
"""Checks that read any file as lines."""
from __future__ import annotations

import ast
import re
from pathlib import Path

from . import cpp
from .tree import all_files, cpp_files, python_files, relative, shell_files, text

LINE_CHARS_MAX = 100
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
# Spelled in pieces, so that this file passes its own check.
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b(?!\(#\d+\))")
SILENCED = re.compile(r"\bNO" r"LINT(?:NEXTLINE|BEGIN|END)?\b(?!\([\w.,\- *]+\)|: +\S)")


def _sources() -> list[Path]:
    protos = [path for path in all_files() if path.suffix == ".proto"]
    return sorted({*cpp_files(), *python_files(), *shell_files(), *protos})


def licence_lines() -> list[str]:
    """Every source file names its licence in its first two lines."""
    return [f"{relative(path)}:1: no SPDX-License-Identifier: BSD-2-Clause line"
            for path in _sources()
            if text(path).strip() and "SPDX-License-Identifier: BSD-2-Clause" not in
            "\n".join(text(path).split("\n", 2)[:2])]


def line_lengths() -> list[str]:
    """No line of source is longer than 100 characters."""
    return [f"{relative(path)}:{number}: {len(line)} characters"
            for path in _sources()
            for number, line in enumerate(text(path).split("\n"), 1)
            if len(line) > LINE_CHARS_MAX]


def file_lengths() -> list[str]:
    """No source file is longer than 500 lines."""
    return [f"{relative(path)}:{count}: the file has {count} lines, {FILE_LINES_MAX} are allowed"
            for path in _sources()
            if (count := text(path).count("\n")) > FILE_LINES_MAX]


def unfinished_work() -> list[str]:
    """What is left to do has an issue number; what silences clang-tidy says which check or why."""
    found = []
    for path in _sources():
        for number, line in enumerate(text(path).split("\n"), 1):
            if UNFINISHED.search(line):
                found.append(f"{relative(path)}:{number}: unfinished work without an issue number")
            if SILENCED.search(line):
                found.append(f"{relative(path)}:{number}: name the silenced check or the reason")
    return found


def _python_functions(path: Path) -> list[tuple[str, int, int]]:
    return [(node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1)
            for node in ast.walk(ast.parse(text(path)))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def function_lengths() -> list[str]:
    """No function is longer than 70 lines."""
    found = []
    for path in cpp_files() + python_files():
        functions = (cpp.functions(text(path)) if path.suffix in (".h", ".cpp")
                     else _python_functions(path))
        found += [f"{relative(path)}:{line}: {name} has {count} lines"
                  for name, line, count in functions if count > FUNCTION_LINES_MAX]
    return found
