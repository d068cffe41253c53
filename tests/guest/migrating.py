# SPDX-License-Identifier: BSD-2-Clause
"""A guest that migrates live: one QEMU for each host it is on, driven over QMP.

All of them map the guest's memory from one file, so that only the devices' state travels. A copy of
the memory would depend on QEMU's dirty bitmap, which loses writes where the processor is emulated:
the bit is set before the store, and cleared and acted upon in between when the thread has to wait
there. One guest in 25 hung like that on two busy cores (seen: in a spin lock that nobody held).
"""
from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Optional

import guest

PATIENCE_S = 240.0
APPEND = "ukai.rounds=1"


class Machine:
    """One QEMU. What the guest says while it is here is in `lines`."""

    def __init__(self, images: tuple[Path, Path], disk: Path, folder: Path, memory: Path,
                 number: int, read_only_first: bool) -> None:
        """All but the first wait for a guest to come. `memory`: the guest's, of all its machines.
        `read_only_first`: the disk is attached with auto-read-only, as by -drive; else it is opened
        for writing from the start."""
        self.lines: list[str] = []
        self.incoming = f"unix:{folder}/migration-{number}"
        self._qmp: Optional[socket.socket] = None
        control = folder / f"qmp-{number}"
        line = guest.command(*images, disk, "native", APPEND)
        if not read_only_first:
            at = line.index("-drive")
            line[at:at + 2] = ["-blockdev", json.dumps({
                "driver": "raw", "node-name": "disk", "discard": "unmap",
                "cache": {"direct": True},
                "file": {"driver": "file", "filename": str(disk), "aio": "native",
                         "discard": "unmap", "cache": {"direct": True}}})]
        line += ["-object", f"memory-backend-file,id=memory,size={guest.MEMORY_MIB}M,share=on,"
                 f"mem-path={memory}", "-machine", "memory-backend=memory"]
        line += ["-qmp", f"unix:{control},server=on,wait=off"]
        if number > 0:
            line += ["-incoming", self.incoming]
        self._child = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT)
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()
        self._connect(control)

    def _listen(self) -> None:
        assert self._child.stdout
        for raw in self._child.stdout:
            found = re.search(r"GUEST.*|qemu-system.*", raw.decode(errors="replace").rstrip())
            if found:
                self.lines.append(found.group())

    def _connect(self, control: Path) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self._qmp = socket.socket(socket.AF_UNIX)
            try:
                self._qmp.connect(str(control))
                break
            except OSError:
                assert self._child.poll() is None and time.monotonic() < deadline, self.lines
                time.sleep(0.05)
        self._answers = self._qmp.makefile()
        self._answers.readline()  # the greeting
        self.execute("qmp_capabilities")
        self.execute("migrate-set-capabilities",
                     capabilities=[{"capability": "x-ignore-shared", "state": True}])

    def execute(self, command: str, **arguments: Any) -> Any:
        assert self._qmp
        request = {"execute": command, "arguments": arguments}
        self._qmp.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = json.loads(self._answers.readline())
            if "return" in answer:
                return answer["return"]
            assert "error" not in answer, answer

    def state(self) -> str:
        """What one wants to know of a guest that says nothing."""
        said = [str(self.execute(command)) for command in ("query-status", "query-blockstats")]
        for _ in range(2):
            said.append(self.execute("human-monitor-command", **{"command-line": "info registers"}))
            time.sleep(0.5)
        for thread in Path(f"/proc/{self._child.pid}/task").iterdir():
            said.append(f"{(thread / 'comm').read_text()} {(thread / 'wchan').read_text()} "
                        f"{(thread / 'stat').read_text()}")
        return "\n".join(said)

    def rounds(self) -> int:
        return sum(line.startswith("GUEST round") for line in self.lines)

    def wait_rounds(self, count: int) -> None:
        """Until the guest has ended so many more rounds here."""
        wanted, deadline = self.rounds() + count, time.monotonic() + PATIENCE_S
        while self.rounds() < wanted:
            assert self._child.poll() is None, (self._child.returncode, self.lines)
            assert time.monotonic() < deadline, (self.lines, self.state())
            assert not any("FAILED" in line for line in self.lines), self.lines
            time.sleep(0.1)

    def migrate(self, to: "Machine") -> Any:
        """Until the guest runs there; what QEMU says of it, times in milliseconds."""
        self.execute("migrate", uri=to.incoming)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            told = self.execute("query-migrate")
            if told["status"] == "completed":
                break
            assert told["status"] != "failed" and time.monotonic() < deadline, told
            time.sleep(0.02)
        while to.execute("query-status")["status"] == "inmigrate":
            time.sleep(0.01)
        return told

    def tell_to_end(self) -> None:
        assert self._child.stdin
        self._child.stdin.write(b"enough\n")
        self._child.stdin.flush()

    def wait_off(self) -> None:
        """Until the guest has switched itself off; it must have found everything good."""
        self._child.wait(PATIENCE_S)
        self._reader.join()
        assert "GUEST PASSED" in self.lines, self.lines

    def end(self) -> None:
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        if self._qmp:
            self._answers.close()
            self._qmp.close()
        self._reader.join()
        for stream in (self._child.stdin, self._child.stdout):
            if stream:
                stream.close()
