# SPDX-License-Identifier: BSD-2-Clause
"""What QEMU does with a disk's file in a live migration, without the QEMU."""
from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

OFD_GETLK, OFD_SETLK = 36, 37
RDLCK, WRLCK, UNLCK = 0, 1, 2
FLOCK = "hh4xqqi4x"  # struct flock of x86-64
CONSISTENT_READ, WRITE, NO_OTHER_WRITER = 100, 101, 201
UNIT = 4096


def ofd_lock(fd: int, command: int, kind: int, byte: int) -> int:
    """The kind that fcntl(2) returns: for OFD_GETLK, of the lock in the way."""
    import fcntl
    asked = struct.pack(FLOCK, kind, os.SEEK_SET, byte, 1, 0)
    return int(struct.unpack(FLOCK, fcntl.fcntl(fd, command, asked))[0])


class Attachment:
    """A disk as QEMU on one host has it open: direct I/O of 4 KiB, and QEMU's image locks."""

    def __init__(self, file: Path, activate: bool = False) -> None:
        """Opens it as `-blockdev` does on the destination: nothing is locked."""
        self.file = file
        self.fd = os.open(file, os.O_RDWR | os.O_DIRECT)
        self._buffer = mmap.mmap(-1, UNIT)
        if activate:
            self.activate()

    def activate(self) -> None:
        """The guest is about to run here."""
        for byte in (CONSISTENT_READ, WRITE):
            ofd_lock(self.fd, OFD_SETLK, RDLCK, byte)
        for byte in (200, NO_OTHER_WRITER):
            found = ofd_lock(self.fd, OFD_GETLK, WRLCK, byte)
            assert found == UNLCK, f"somebody else holds byte {byte}"
        ofd_lock(self.fd, OFD_SETLK, RDLCK, NO_OTHER_WRITER)

    def stop(self) -> None:
        """The guest has stopped: the only flush of a migration."""
        os.fdatasync(self.fd)

    def inactivate(self) -> None:
        """The source is done. The file stays open."""
        for byte in (CONSISTENT_READ, WRITE, NO_OTHER_WRITER):
            ofd_lock(self.fd, OFD_SETLK, UNLCK, byte)

    def inactivate_read_only(self) -> None:
        """The same with auto-read-only: another descriptor, and the old one is closed."""
        reader = os.open(self.file, os.O_RDONLY | os.O_DIRECT)
        os.close(self.fd)
        self.fd = reader

    def write(self, unit: int, data: bytes) -> None:
        self._buffer[:] = data.ljust(UNIT, b"\0")
        assert os.pwritev(self.fd, [self._buffer], unit * UNIT) == UNIT

    def read(self, unit: int, size: int) -> bytes:
        assert os.preadv(self.fd, [self._buffer], unit * UNIT) == UNIT
        return bytes(self._buffer[:size])

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)
