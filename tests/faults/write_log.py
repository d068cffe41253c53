# SPDX-License-Identifier: BSD-2-Clause
"""A block device whose every write and flush is noted, and what it held at any moment.

(qemu-storage-daemon's `blklogwrites` would do the same, but QEMU 7.2 mixes up what concurrent
requests write to its log.)
"""
from __future__ import annotations

import random
import shlex
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Iterator, Optional

from cluster import run, wait_until

ATOMIC = 4096  # a device writes so much or nothing; file systems depend on it for their own blocks
_ENTRY = struct.Struct("QQQ")


@dataclass
class Entry:
    """One request. `end`: bytes of the log that have it and all before."""

    offset: int
    size: int
    flush: bool
    data: int  # where in the log
    end: int


class WriteLog:
    """The log of one device, complete. Reads it as it is needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries = list(self._parse())

    def _parse(self) -> Iterator[Entry]:
        with self._path.open("rb") as file:
            at = 0
            while head := file.read(_ENTRY.size):
                offset, size, flush = _ENTRY.unpack(head)
                data = at + _ENTRY.size
                at = file.seek(data + size)
                yield Entry(offset, size, bool(flush), data, at)

    def replay(self, image: Path, count: int, dice: Optional[random.Random] = None) -> None:
        """Makes `image`, a copy of the device as it began, what a power cut after the first `count`
        requests may leave: all of them, or with `dice` any of those since the last flush, one of
        them in part."""
        flushed = max((i + 1 for i in range(count) if self.entries[i].flush), default=0)
        torn = dice.randrange(flushed, count) if dice and flushed < count else -1
        with self._path.open("rb") as log, image.open("r+b") as out:
            for index, entry in enumerate(self.entries[:count]):
                if dice and index >= flushed and index != torn and dice.random() < 0.5:
                    continue
                log.seek(entry.data)
                data = log.read(entry.size)
                if dice and index == torn:
                    data = data[:dice.randrange(len(data) // ATOMIC + 1) * ATOMIC]
                out.seek(entry.offset)
                out.write(data)


class LoggedDevice:
    """`file` is a device with what the file `content` holds, while the context is open."""

    def __init__(self, folder: Path, content: Path) -> None:
        self.log = folder / "writes.log"
        self._mount = folder / "device"
        self._mount.mkdir()
        self.file = self._mount / "disk"
        self._content = content
        self._program = folder / "logged_device"
        flags = shlex.split(run(["pkg-config", "--cflags", "--libs", "fuse3"]).stdout)
        source = Path(__file__).with_name("logged_device.c")
        run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(self._program), str(source),
             *flags])
        self._child: Optional["subprocess.Popen[bytes]"] = None

    def __enter__(self) -> "LoggedDevice":
        self._child = subprocess.Popen(
            [str(self._program), str(self._content), str(self.log), str(self._mount)])
        wait_until(self.file.exists, "the device is there", 20)
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        assert self._child
        self._child.terminate()
        self._child.wait()

    def position(self) -> int:
        """Bytes of the log by now."""
        return self.log.stat().st_size
