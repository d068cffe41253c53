# SPDX-License-Identifier: BSD-2-Clause
"""What the programs in this folder share: packages, and processes that end with them."""
from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

PATIENCE_S = 60
POLICY = Path("/usr/sbin/policy-rc.d")
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)


def arguments() -> tuple[Path, int]:
    """FOLDER, and MIB in bytes."""
    return Path(sys.argv[1]).resolve(), int(sys.argv[2]) << 20


def run(*command: str, **options: Any) -> str:
    """What it printed; ends the program with what it complained of."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}"
                         f"{done.stderr}")
    return str(done.stdout)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {PATIENCE_S} s: {what}")
        time.sleep(0.1)


# -- packages

@contextmanager
def _no_services() -> Iterator[None]:
    """Nothing that a package brings is started while this lasts."""
    if POLICY.exists():  # somebody's own
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def need(packages: dict[str, str]) -> None:
    """Debian's packages, each with a program that tells that it is there. Installs what is not."""
    absent = [package for package, program in packages.items() if shutil.which(program) is None]
    if not absent:
        return
    print(f"installing {' '.join(absent)}", file=sys.stderr)
    with _no_services():
        run("apt-get", "install", "-y", "--no-install-recommends", *absent,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


# -- processes

def adopt() -> None:
    """Whatever we start stays our descendant, also when it goes into the background."""
    if LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def descendants() -> list[int]:
    found = [os.getpid()]
    for pid in found:  # grows
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text(encoding="ascii").split()]
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found[1:]


def end_all() -> None:
    """Ends all descendants, and returns when they are gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 10
        for pid in descendants():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        while descendants() and time.monotonic() < deadline:
            try:
                os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                pass
            time.sleep(0.02)


def announce(**said: Any) -> None:
    """Says that it serves, and returns when whoever started us has enough."""
    print(json.dumps({"pids": descendants(), **said}), flush=True)
    sys.stdin.read()
