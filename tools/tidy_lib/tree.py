# SPDX-License-Identifier: BSD-2-Clause
"""Which files the project has, what they include, and which of them were already found good."""
from __future__ import annotations

import hashlib
import re
import subprocess
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAMPS = ROOT / "build" / "tidy"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


@lru_cache(maxsize=None)
def all_files() -> tuple[Path, ...]:
    """Every file that git knows or would add, without what .gitignore names."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, check=True).stdout.decode()
    names = sorted(name for name in set(listing.split("\0")) if name)
    return tuple(ROOT / name for name in names if (ROOT / name).is_file())


@lru_cache(maxsize=None)
def text(path: Path) -> str:
    return path.read_text(errors="replace")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def cpp_files() -> list[Path]:
    return [path for path in all_files() if path.suffix in (".h", ".cpp")]


def _first_line(path: Path) -> str:
    return text(path).split("\n", 1)[0] if path.suffix == "" else ""


def python_files() -> list[Path]:
    return [path for path in all_files()
            if path.suffix == ".py" or "python" in _first_line(path)]


def shell_files() -> list[Path]:
    return [path for path in all_files()
            if path.suffix == ".sh" or re.match(r"#!.*\b(ba)?sh\b", _first_line(path))]


def resolve(name: str, user: Path) -> Path | None:
    """The file of ours that `#include "name"` in `user` means, or None."""
    for base in (user.parent, ROOT / "include", ROOT / "src", ROOT / "tests"):
        if (base / name).is_file():
            return (base / name).resolve()
    return None


@lru_cache(maxsize=None)
def _uses(path: Path) -> tuple[Path, ...]:
    found = (resolve(name, path) for name in INCLUDE.findall(text(path)))
    return tuple(sorted({used for used in found if used}))


def fingerprint(path: Path, *extra: str) -> str:
    """Changes when the file, anything of ours that it includes, or `extra` does."""
    seen: set[Path] = set()
    todo = [path]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo.extend(_uses(current))
    protos = [other for other in all_files() if other.suffix == ".proto"]
    digest = hashlib.sha256("\0".join(extra).encode())
    for part in sorted(seen) + protos:
        digest.update(part.read_bytes())
    return digest.hexdigest()


def known_good(kind: str, mark: str) -> bool:
    return (STAMPS / kind / mark).exists()


def remember_good(kind: str, mark: str) -> None:
    (STAMPS / kind).mkdir(parents=True, exist_ok=True)
    (STAMPS / kind / mark).touch()
