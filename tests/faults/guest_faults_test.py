# SPDX-License-Identifier: BSD-2-Clause
"""File systems on a disk whose daemons, or whose guest, are killed. F27 of the list of faults.

What a file system has acknowledged by fsync() must be there afterwards, and its check be clean.
"""
from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

import pytest

from cluster import Cluster, run, wait_until
from files import background, loop_device, mounted
from oracles import replicas_are_equal

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "guest"))
# pylint: disable=wrong-import-position
import guest  # noqa: E402
import image  # noqa: E402

NewCluster = Callable[..., Cluster]
MAKE = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"]}
CHECK = {"ext4": ["fsck.ext4", "-f", "-n"], "xfs": ["xfs_repair", "-n"]}
SIZE = "512MiB"  # the least that mkfs.xfs likes is 300 MiB

# Writes files and syncs each; says which are safe: "NAME CHECKSUM".
WRITER = """
import hashlib, os, random, sys
folder, dice = sys.argv[1], random.Random(27)
os.chdir(folder)
number = 0
while True:
    number += 1
    data = dice.randbytes(dice.randrange(1, 200_000))
    fd = os.open(f"file-{number}", os.O_CREAT | os.O_WRONLY)
    os.write(fd, data)
    os.fsync(fd)
    os.close(fd)
    folder_fd = os.open(".", os.O_RDONLY)
    os.fsync(folder_fd)
    os.close(folder_fd)
    print(f"file-{number}", hashlib.sha256(data).hexdigest(), flush=True)
"""


def check(disk: Path, kind: str, folder: Path, synced: dict[str, str]) -> None:
    """As after a power cut: the journal is replayed, all is there, and the check is clean."""
    with loop_device(disk) as device:
        with mounted(device, folder):
            for file, checksum in synced.items():
                assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == checksum, file
        run([*CHECK[kind], device])


def write_files(folder: Path, seconds: float, trouble: Callable[[], None]) -> dict[str, str]:
    """What was synced by the writer while there was trouble in the middle."""
    with background([sys.executable, "-c", WRITER, str(folder)]) as writer:
        time.sleep(seconds)
        trouble()
        time.sleep(seconds)
        writer.kill()
        assert writer.stdout
        # What it said before the trouble ended it, but not how it complained.
        words = [line.split() for line in writer.stdout.read().splitlines()]
    return {line[0]: line[1] for line in words if len(line) == 2 and line[0].startswith("file-")}


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_f27_nodes_are_killed_below_a_file_system(cluster: Cluster, name: str, kind: str,
                                                  long: bool, tmp_path: Path) -> None:
    disk = cluster.create(name, SIZE, "n1,n2")
    folder = tmp_path / "mnt"

    def trouble() -> None:
        for node in ("n1", "n2") * (5 if long else 1):
            cluster.kill(node)
            time.sleep(1)
            cluster.start(node)
            cluster.wait_healthy(name)

    with loop_device(disk) as device:
        run([*MAKE[kind], device])
        with mounted(device, folder):
            synced = write_files(folder, 1, trouble)
    assert len(synced) > 20
    check(disk, kind, folder, synced)
    replicas_are_equal(cluster, name)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_f27_a_host_is_killed_below_a_file_system(new_cluster: NewCluster, name: str, kind: str,
                                                  tmp_path: Path) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "1")
    disk = cluster.create(name, SIZE, "n1,n2")
    folder = tmp_path / "mnt"
    with loop_device(disk) as device:
        run([*MAKE[kind], device])
        folder.mkdir()
        run(["mount", device, str(folder)])
        synced = write_files(folder, 1, lambda: cluster.kill("h1"))
        run(["umount", str(folder)], None)  # its device is dead
    assert len(synced) > 20
    cluster.start("h1")
    check(disk, kind, folder, synced)
    replicas_are_equal(cluster, name)


def guest_until(images: tuple[Path, Path], disk: Path, kind: str, files: int) -> dict[str, str]:
    """Runs a guest that writes and syncs files on its disk; kills QEMU once it has done so many."""
    synced: dict[str, str] = {}
    line = guest.command(*images, disk, "native", f"ukai.files={kind}")
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as child:
        assert child.stdout
        for said in child.stdout:
            words = said.decode(errors="replace").split()
            if words[:2] == ["GUEST", "synced"]:
                synced[words[2]] = words[3]
            if len(synced) >= files or "FAILED:" in words:
                break
        child.kill()
    assert len(synced) >= files, synced
    return synced


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_f27_qemu_is_killed(cluster: Cluster, name: str, kind: str, long: bool,
                            tmp_path: Path) -> None:
    disk = cluster.create(name, SIZE, "n1,n2")
    with loop_device(disk) as device:
        run([*MAKE[kind], device])
    images = image.build(tmp_path, "4m", ["xfs"] if kind == "xfs" else [])
    for _ in range(3 if long else 1):
        synced = guest_until(images, disk, kind, random.Random(27).randrange(20, 40))
        wait_until(lambda: cluster.json("lease", "show", name)["holder"] is None
                   or not cluster.info(name)["open"]["writers"], "QEMU's file is closed", 30)
        check(disk, kind, tmp_path / "mnt", synced)
    replicas_are_equal(cluster, name)
