# SPDX-License-Identifier: BSD-2-Clause
"""Checks that need a rough understanding of C++: where a function, a string, an expression ends."""
from __future__ import annotations

import re

from .tree import ROOT, INCLUDE, cpp_files, relative, text

# One pattern for everything whose braces do not count.
_OPAQUE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\'',
    re.DOTALL)
_NOT_FUNCTION = re.compile(r"\b(?:namespace|class|struct|union|enum)\b|=\s*$|^\s*extern\s*$")


def without_text(source: str) -> str:
    """The source with comments and literals blanked, each line where it was."""
    return _OPAQUE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), source)


def functions(source: str) -> list[tuple[str, int, int]]:
    """(name, first line, number of lines) of each function body outside of functions."""
    code = re.sub(r"^\s*#.*$", "", without_text(source), flags=re.MULTILINE)
    found = []
    scopes: list[tuple[bool, str, int]] = []  # (is a function, its name, its line)
    start = 0  # of the statement that we are in
    line = 1
    for position, char in enumerate(code):
        if char == "\n":
            line += 1
        elif char == "{":
            head = code[start:position]
            inside = any(scope[0] for scope in scopes)
            name = re.search(r"([\w:~]+)\s*\(", head)
            is_function = bool(name) and not inside and not _NOT_FUNCTION.search(
                re.sub(r"\([^()]*\)|<[^<>]*>", "", head))
            first = line - head.lstrip().count("\n")
            scopes.append((is_function, name.group(1) if name else "", first))
            start = position + 1
        elif char == "}" and scopes:
            is_function, text_name, first = scopes.pop()
            if is_function:
                found.append((text_name, first, line - first + 1))
            start = position + 1
        elif char == ";" and not (scopes and scopes[-1][0]):
            start = position + 1
    return found


def _awaited(code: str, begin: int) -> str:
    """The expression after a co_await, as far as it can hold temporaries of that await."""
    depth = 0
    for position in range(begin, len(code)):
        char = code[position]
        if char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == "{":
            if (re.search(r"[(,]\s*$", code[begin:position])
                    and re.match(r"{\s*}", code[position:position + 9])):
                continue  # an empty container as an argument
            if depth == 0 and code[position - 1] in " \n":
                return code[begin:position]  # the block of an `if` or a loop
            return code[begin:position + 1]
        if depth < 0 or (char == ";" and depth == 0):
            return code[begin:position]
    return code[begin:]


def await_traps() -> list[str]:
    """g++ 12 destroys an aggregate or a lambda's captures twice inside a co_await expression."""
    found = []
    for path in cpp_files():
        code = without_text(text(path))
        for match in re.finditer(r"\bco_await\b", code):
            expression = _awaited(code, match.end())
            if expression.endswith("{") or re.search(r"(?<![\w)\]])\s*\[[^\]\s]", expression):
                number = code.count("\n", 0, match.start()) + 1
                found.append(f"{relative(path)}:{number}: name the aggregate or lambda before "
                             "the co_await (g++ 12 destroys it twice)")
    return found


def _modules() -> dict[str, set[str]]:
    """Module -> all modules below it, from the USES of src/*/CMakeLists.txt."""
    direct: dict[str, set[str]] = {}
    for path in sorted((ROOT / "src").glob("*/CMakeLists.txt")):
        match = re.search(r"ukai_module\((\w+)([^)]*)\)", path.read_text())
        if match:
            uses = re.search(r"USES((?:\s+\w+)*?)\s*(?:LIBRARIES|$)", match.group(2))
            direct[match.group(1)] = set(uses.group(1).split()) if uses else set()
    closed: dict[str, set[str]] = {}

    def close(name: str) -> set[str]:
        if name not in closed:
            closed[name] = set(direct[name])
            for used in direct[name]:
                closed[name] |= close(used)
        return closed[name]

    for name in direct:
        close(name)
    return closed


def module_ladder() -> list[str]:
    """A module includes only itself, what its USES allow, and the contracts in include/ukai."""
    below = _modules()
    found = []
    for path in cpp_files():
        parts = path.relative_to(ROOT).parts
        if parts[0] == "src":
            module, allowed = parts[1], {parts[1], "ukai"} | below.get(parts[1], set())
        elif parts[0] == "include":
            module, allowed = "include", {"ukai"}
        else:
            continue
        for match in INCLUDE.finditer(text(path)):
            target = match.group(1).split("/")[0]
            is_module = target in below or target == "ukai"
            if "/" in match.group(1) and is_module and target not in allowed:
                number = text(path).count("\n", 0, match.start()) + 1
                found.append(f"{relative(path)}:{number}: {module} may not include "
                             f"{match.group(1)}")
    return found


def unused_names() -> list[str]:
    """Whatever a source borrows from another namespace, it uses."""
    borrowed = re.compile(r"^\s*(?:using\s+[\w:]*?(?P<scope>\w+)::(?P<name>\w+);"
                          r"|namespace\s+(?P<alias>\w+)\s*=)", re.MULTILINE)
    found = []
    for path in cpp_files():
        code = without_text(text(path))
        for match in borrowed.finditer(code) if path.suffix == ".cpp" else ():
            name = match["alias"] or match["name"]
            if name != match["scope"] and len(re.findall(rf"\b{name}\b", code)) == 1:
                line = code.count("\n", 0, match.start("alias" if match["alias"] else "name")) + 1
                found.append(f"{relative(path)}:{line}: nothing uses {name}")
    return found
