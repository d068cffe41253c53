# SPDX-License-Identifier: BSD-2-Clause
"""Checks that other programs make: clang-format, clang-tidy, g++, shellcheck, mypy, flake8."""
from __future__ import annotations

import json
import os
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Callable, Iterable, TypeVar

from .tree import (INCLUDE, ROOT, STAMPS, cpp_files, fingerprint, known_good, python_files,
                   relative, remember_good, resolve, shell_files, text)

BUILDS = ("dev", "release")
Work = TypeVar("Work")


def _run(command: list[str]) -> list[str]:
    """Nothing when it succeeds, else what it said."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        return []
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return said or [f"{shlex.join(command)}: status {done.returncode}"]


def _parallel(check: Callable[[Work], list[str]], work: Iterable[Work]) -> list[str]:
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        return [line for lines in pool.map(check, work) for line in lines]


@lru_cache(maxsize=None)
def _compile_commands() -> dict[Path, list[str]]:
    """Source -> its compiler and flags, from the preset that was configured."""
    for build in BUILDS:
        path = ROOT / "build" / build / "compile_commands.json"
        if path.exists():
            entries = json.loads(path.read_text())
            return {Path(entry["file"]): shlex.split(entry["command"]) for entry in entries}
    raise SystemExit("tidy: configure first: cmake --preset dev")


def _flags_of(command: list[str]) -> list[str]:
    """Those that say what the source means: folders, macros, language, warnings."""
    return [word for word in command if word.startswith(("-I", "-D", "-std", "-W", "-isystem"))
            or (word.startswith("/") and not word.endswith((".cpp", ".o", "g++", "c++", "ccache")))]


def _flags_of_neighbour(header: Path) -> list[str]:
    """What a source of the same module is compiled with; the contracts need only their folder."""
    commands = _compile_commands()
    near = [source for source in commands if source.parent == header.parent]
    command = commands[near[0]] if near else commands[next(
        source for source in sorted(commands) if "src/model/" in str(source))]
    return _flags_of(command)


def _first_include_of_its_source(header: Path) -> bool:
    """Then the build has compiled it alone already."""
    source = header.with_suffix(".cpp")
    first = INCLUDE.search(text(source)) if source.exists() else None
    if not first or resolve(first.group(1), source) != header.resolve():
        return False
    return "#include <" not in text(source)[:first.start()]


def headers_compile_alone() -> list[str]:
    """Every header includes what it uses."""
    def check(header: Path) -> list[str]:
        flags = _flags_of_neighbour(header)
        mark = fingerprint(header, *flags)
        if known_good("header", mark):
            return []
        said = _run(["g++", *flags, "-Wno-unused", "-fsyntax-only", "-x", "c++",
                     "-include", str(header), "/dev/null"])
        if not said:
            remember_good("header", mark)
        return said

    return _parallel(check, [path for path in cpp_files()
                             if path.suffix == ".h" and not _first_include_of_its_source(path)])


def formatted() -> list[str]:
    """clang-format has nothing to change."""
    files = [str(path) for path in cpp_files()]
    said = _run(["clang-format", "--dry-run", "--Werror", *files]) if files else []
    bad = {line.split(":")[0] for line in said if ": error: " in line}
    return [f"{relative(Path(name))}:1: run clang-format -i on it" for name in sorted(bad)] or said


def _batches(sources: Iterable[Path]) -> list[list[Path]]:
    """Sources that one compilation can hold: of one module, with the same flags, with one main().
    The largest come first, so that no processor is left with one of them at the end."""
    batches: dict[str, list[Path]] = {}
    for source in sources:
        alone = source.stem if source.stem.endswith("_main") else ""
        key = "\0".join([str(source.parent), alone, *_flags_of(_compile_commands()[source])])
        batches.setdefault(key, []).append(source)
    return sorted(batches.values(), key=len, reverse=True)


def _clang_tidy_says(sources: list[Path]) -> list[str]:
    """Checks the sources as one that includes them all, because nearly all of the time goes into
    the headers that they share. When they cannot be compiled together (two have an internal
    function of the same name), each half is checked by itself."""
    together = STAMPS / "batch" / f"{sources[0].parent.name}-{sources[0].stem}.cpp"
    together.parent.mkdir(parents=True, exist_ok=True)
    together.write_text("".join(f'#include "{source}"\n' for source in sources))
    # Compiler warnings are g++'s business.
    flags = [*_flags_of(_compile_commands()[sources[0]]), "-w"]
    middle = len(sources) // 2
    if middle and _run(["clang++-14", *flags, "-fsyntax-only", str(together)]):
        return [*_clang_tidy_says(sources[:middle]), *_clang_tidy_says(sources[middle:])]
    return _run(["clang-tidy", "--quiet", "--checks=-bugprone-suspicious-include", str(together),
                 "--", *flags])


def clang_tidy() -> list[str]:
    """clang-tidy with the list of .clang-tidy, over every source of src/."""
    rules = (ROOT / ".clang-tidy").read_text()
    commands = _compile_commands()
    marks = {path: fingerprint(path, rules, *commands[path]) for path in cpp_files()
             if path in commands and (ROOT / "src") in path.parents}

    def check(sources: list[Path]) -> list[str]:
        said = _clang_tidy_says(sources)
        if not said:
            for source in sources:
                remember_good("clang-tidy", marks[source])
        return [line for line in said if "warning:" in line or "error:" in line] or said

    todo = _batches(path for path in marks if not known_good("clang-tidy", marks[path]))
    return sorted(set(_parallel(check, todo)))


def shell_scripts() -> list[str]:
    """shellcheck has nothing to say."""
    files = [relative(path) for path in shell_files()]
    return _run(["shellcheck", "--format=gcc", *files]) if files else []


def python_types() -> list[str]:
    """mypy --strict passes: each folder with its own imports, and the nearest mypy.ini above it."""
    def command(folder: Path) -> list[str]:
        config = next(path for path in (above / "mypy.ini" for above in (folder, *folder.parents))
                      if path.exists())
        return ["mypy", "--strict", "--no-error-summary", f"--config-file={relative(config)}"]

    found = []
    folders = {path.parent for path in python_files()}
    packages = {folder for folder in folders if (folder / "__init__.py").exists()}
    for package in sorted(packages):
        found += _run([*command(package), relative(package)])
    for folder in sorted(folders - packages):
        files = [relative(path) for path in python_files() if path.parent == folder]
        found += _run([*command(folder), "--scripts-are-modules", *files])
    return sorted(set(found))


def python_style() -> list[str]:
    """flake8 has nothing to say."""
    files = [relative(path) for path in python_files()]
    return _run(["flake8", *files]) if files else []
