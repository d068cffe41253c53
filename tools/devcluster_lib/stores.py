# SPDX-License-Identifier: BSD-2-Clause
"""Where a node keeps its data, and how its power is cut.

Each store is an ext4 or XFS of its own in a sparse file behind a loop device. To cut the power, the
file system is shut down at once, without its journal being written (the GOINGDOWN ioctl), and
mounted again: what nobody had flushed and the kernel had not written back by itself is gone, just
as when a machine loses its power. A plain folder cannot do this, since its unflushed pages belong
to a kernel that goes on.
"""
from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import uuid
from pathlib import Path

from .errors import DevclusterError
from .network import run, succeeds

STORE_BYTES = 20 << 30  # sparse: it takes what is written
IOC_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN is XFS_IOC_GOINGDOWN
GOING_FLAGS_NOLOGFLUSH = 2
# XFS with what nodes use to share versions of a block; mkfs.xfs makes it so unless told otherwise.
FILE_SYSTEMS = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-m", "0",
             "-E", "lazy_itable_init=1,lazy_journal_init=1"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-m", "reflink=1"],
}


def mounted_at(path: Path) -> str:
    """The type of what is mounted on exactly this folder, "" when nothing is."""
    wanted = str(path).replace(" ", "\\040")
    found = ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[4] == wanted:
            found = fields[fields.index("-") + 1]
    return found


def unmount(path: Path) -> None:
    """Unmounts whatever is there; detaches it when it is dead or in use."""
    while mounted_at(path):
        if not succeeds("umount", str(path)):
            run("umount", "--lazy", str(path))


def release_loop_devices(mount_point: Path) -> None:
    """Ends loop devices whose file is on this mount, and file systems mounted from them: once the
    mount is gone they could only fail."""
    listed = json.loads(run("losetup", "--list", "--json") or '{"loopdevices": []}')
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().split("\n") if line]
    for loop in listed["loopdevices"]:
        if str(loop["back-file"]).startswith(f"{mount_point}/"):
            for fields in mounts:
                if fields[0] == loop["name"]:
                    succeeds("umount", "--lazy", fields[1].replace("\\040", " "))
            succeeds("losetup", "--detach", loop["name"])


class Store:
    """The data folder of one node."""

    def __init__(self, home: Path, plain: bool, kind: str) -> None:
        self.folder = home / "data"
        self.image = home / "store.img"
        self.boot_id = home / "boot_id"
        self.plain = plain
        self.kind = kind

    def attach(self) -> None:
        """Makes it on first use; nothing happens when it is there already."""
        self.folder.mkdir(exist_ok=True)
        if not self.boot_id.exists():
            self.new_boot()
        if not self.plain and not mounted_at(self.folder):
            if not self.image.exists():
                self._make_image()
            run("mount", "-t", self.kind, "-o", "noatime", self._loop_device(), str(self.folder))
        # Not the mount itself: its lost+found would make it a foreign folder. The node makes none
        # by itself, so that one whose disk is not mounted does not fill the machine's.
        (self.folder / "store").mkdir(exist_ok=True)

    def detach(self) -> None:
        """Unmounts it; the loop device goes with it."""
        if not self.plain:
            unmount(self.folder)
            self._free_loop_devices()

    def cut_power(self) -> None:
        """Drops what is not on stable storage. The node's process must be gone already."""
        if self.plain:
            raise DevclusterError(f"{self.folder} is a plain folder (up --plain): no power cuts")
        if mounted_at(self.folder):
            fd = os.open(self.folder, os.O_RDONLY)
            try:
                fcntl.ioctl(fd, IOC_SHUTDOWN, struct.pack("I", GOING_FLAGS_NOLOGFLUSH))
            finally:
                os.close(fd)
        self.detach()
        self.attach()
        self.new_boot()

    def new_boot(self) -> None:
        self.boot_id.write_text(f"{uuid.uuid4()}\n")

    def _make_image(self) -> None:
        temporary = self.image.with_suffix(".new")
        with temporary.open("wb") as image:
            image.truncate(STORE_BYTES)
        run(*FILE_SYSTEMS[self.kind], str(temporary))
        temporary.replace(self.image)

    def _loop_device(self) -> str:
        self._free_loop_devices()
        command = ["losetup", "--find", "--show", str(self.image)]
        # Direct I/O leaves one page cache instead of two; some file systems cannot do it.
        direct = subprocess.run([*command, "--direct-io=on"], capture_output=True, text=True)
        if direct.returncode == 0:
            return direct.stdout.strip()
        self._free_loop_devices()
        return run(*command).strip()

    def _free_loop_devices(self) -> None:
        for line in run("losetup", "--associated", str(self.image)).splitlines():
            succeeds("losetup", "--detach", line.split(":")[0])
