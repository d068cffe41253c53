# SPDX-License-Identifier: BSD-2-Clause
"""Starting, finding and ending daemons, by process id only."""
from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Optional

from .errors import DevclusterError

READY_SECONDS = 60
TERM_SECONDS = 15


def _process_state(pid: int) -> str:
    """The letter of /proc/PID/stat, or "" when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return stat.rsplit(")", 1)[1].split()[0]


class Process:
    """The process of one daemon: D/NAME/pid names it, its command line proves that it is ours.

    Every command line holds the path of the daemon's configuration file, which no other process
    has; so a process id that the kernel gave to somebody else is never taken for the daemon's.
    """

    def __init__(self, home: Path, config: Path) -> None:
        self.home = home
        self.config = config
        self.log = home / "log"
        self.pid_file = home / "pid"

    def pid(self) -> Optional[int]:
        """The id of the live process, or None."""
        try:
            pid = int(self.pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        if os.fsencode(self.config) not in command or _process_state(pid) in ("", "Z", "X"):
            return None
        return pid

    def state(self) -> str:
        """running, paused or dead."""
        pid = self.pid()
        if pid is None:
            return "dead"
        return "paused" if _process_state(pid) in ("T", "t") else "running"

    def start(self, command: list[str], ready: Callable[[str], bool]) -> None:
        """Starts it and returns when `ready` holds for what it has logged since.

        Raises when it ends first or takes too long; it is then not left behind.
        """
        logged_before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.home, start_new_session=True)
        self.pid_file.write_text(f"{child.pid}\n")
        deadline = time.monotonic() + READY_SECONDS
        while True:
            ended = child.poll() is not None
            if not ended and ready(self.logged_since(logged_before)):
                return
            if ended or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        why = f"ended with status {child.returncode}" if ended else "is not ready in time"
        if not ended:
            child.kill()
            child.wait()
        lines = self.logged_since(logged_before).strip().splitlines() or ["(nothing logged)"]
        raise DevclusterError(f"{self.home.name} {why}; {self.log} says: {lines[-1]}")

    def logged_since(self, offset: int) -> str:
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def send(self, number: signal.Signals) -> bool:
        """False when there is no process."""
        pid = self.pid()
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def wait_gone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def wait_ended(self, pid: int) -> None:
        """Of a process that is not the daemon's any more."""
        deadline = time.monotonic() + READY_SECONDS
        while _process_state(pid) not in ("", "Z", "X"):
            if time.monotonic() > deadline:
                raise DevclusterError(f"process {pid} of {self.home.name} does not end")
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone. Nothing happens when it already is."""
        self.send(signal.SIGKILL)
        if not self.wait_gone(TERM_SECONDS):
            raise DevclusterError(f"{self.home.name} does not die (pid {self.pid()})")
        self.pid_file.unlink(missing_ok=True)

    def stop(self) -> None:
        """Asks it to end, and kills it when it does not in time."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)
        self.wait_gone(TERM_SECONDS)
        self.kill()
