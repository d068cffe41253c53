# SPDX-License-Identifier: BSD-2-Clause
"""The test's side of checker.py."""
from __future__ import annotations

import json
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

CHECKER = Path(__file__).with_name("checker.py")
ANSWER_SECONDS = 150

# design.md: any single failure holds the guest up no longer than this, at the default deadline.
STALL_S = 4.0
# The machine of the tests is slow and shared.
SLACK = 3.0


class Load:
    """A disk under load, checked all the time. Ended with the test, whatever it does."""

    def __init__(self, file: Path, size: int, *options: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, str(CHECKER), str(file), "--size", str(size), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._turn = threading.Lock()
        self.longest_s = 0.0
        try:
            self._answer("start", ANSWER_SECONDS)
        except AssertionError:
            self.end()
            raise

    def ask(self, command: str, seconds: float = ANSWER_SECONDS) -> Any:
        """One of the commands that checker.py lists; the report that it answers with."""
        assert self._child.stdin
        with self._turn:
            self._child.stdin.write(command + "\n")
            self._child.stdin.flush()
            return self._answer(command, seconds)

    def _answer(self, command: str, seconds: float) -> Any:
        assert self._child.stdout
        if not select.select([self._child.stdout], [], [], seconds)[0]:
            raise AssertionError(f"the checker did not answer '{command}' in {seconds} s")
        line = self._child.stdout.readline()
        assert line, f"the checker died at '{command}'"
        report = json.loads(line)
        assert "failed" not in report, report["failed"]
        self.longest_s = max(self.longest_s, *report["longest_s"].values())
        return report

    def during(self, seconds: float) -> Any:
        """What happened in the next seconds. An I/O that was under way before may end in them."""
        self.ask("mark")
        time.sleep(seconds)
        return self.ask("mark")

    def passes(self, stall_s: float = STALL_S) -> None:
        """Reads everything; O1, O2 and O4 hold since the last `mark`."""
        report = self.ask("check")
        assert not report["violations"], report
        assert not report["errors"], report
        assert self.longest_s <= stall_s * SLACK, report

    def end(self) -> None:
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            if stream:
                stream.close()
