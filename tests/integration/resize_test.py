# SPDX-License-Identifier: BSD-2-Clause
"""Disks grow while they are in use, and shrink only when nobody uses them."""
from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

from cluster import Cluster, wait_until
from files import MIB, background, pattern, read_at, write_at

USAGE, BUSY, REFUSED = 2, 5, 8
BLOCK = 4 * MIB


def one_line(done: "subprocess.CompletedProcess[str]", *words: str) -> None:
    assert done.stdout == "" and done.stderr.count("\n") == 1, done
    assert all(word in done.stderr for word in words), done.stderr


class Qmp:
    """One QEMU's control connection."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile()
        assert "QMP" in json.loads(self._lines.readline())
        self.do("qmp_capabilities")

    def do(self, command: str, **arguments: Any) -> Any:
        request = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = json.loads(self._lines.readline())
            if "event" in answer:
                continue
            assert "return" in answer, answer
            return answer["return"]


def test_growth_shows_at_once_on_all_mounts_and_in_open_files(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "8MiB", "n1,n2")
    files = [os.open(disk, os.O_RDWR), os.open(shared.mount("h2") / name, os.O_RDONLY)]
    assert [os.fstat(file).st_size for file in files] == [8 * MIB] * 2
    shared.ctl("disk", "resize", name, "12MiB")
    assert [os.fstat(file).st_size for file in files] == [12 * MIB] * 2
    assert [(shared.mount(host) / name).stat().st_size for host in ("h1", "h2")] == [12 * MIB] * 2
    assert os.pread(files[0], BLOCK, 8 * MIB) == bytes(BLOCK)
    assert os.pwrite(files[0], pattern(BLOCK), 8 * MIB) == BLOCK
    os.fsync(files[0])
    assert os.pread(files[1], BLOCK, 8 * MIB) == pattern(BLOCK)
    for file in files:
        os.close(file)
    shared.verify(name)
    shared.delete(name)


def test_qemu_sees_growth_by_block_resize(shared: Cluster, name: str, tmp_path: Path) -> None:
    disk = shared.create(name, "8MiB", "n1,n2")
    control = tmp_path / "qmp"
    command = ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-m", "64", "-nodefaults", "-S",
               "-display", "none", "-qmp", f"unix:{control},server=on,wait=off",
               "-blockdev", f"driver=file,filename={disk},node-name=file,cache.direct=on",
               "-blockdev", "driver=raw,file=file,node-name=disk",
               "-device", "virtio-blk-pci,drive=disk,id=vda"]
    with background(command) as qemu:
        wait_until(lambda: control.exists() or qemu.poll() is not None, "QEMU runs", 60)
        assert qemu.poll() is None
        qmp = Qmp(control)

        def size() -> Any:
            return qmp.do("query-block")[0]["inserted"]["image"]["virtual-size"]

        assert size() == 8 * MIB
        shared.ctl("disk", "resize", name, "16MiB")
        qmp.do("block_resize", **{"node-name": "disk", "size": 16 * MIB})
        assert size() == 16 * MIB
        assert disk.stat().st_size == 16 * MIB
        qmp.do("quit")
        qemu.wait(60)
    shared.delete(name)


def test_shrinking_is_for_closed_disks_and_the_sure(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "16MiB", "n1,n2")
    write_at(disk, 0, pattern(16 * MIB))
    one_line(shared.ukaictl("disk", "resize", name, "8MiB", status=REFUSED), name)
    for host, flags in (("h1", os.O_RDWR), ("h1", os.O_RDONLY), ("h2", os.O_RDONLY)):
        file = os.open(shared.mount(host) / name, flags)
        assert len(os.pread(file, 512, 0)) == 512
        one_line(shared.ukaictl("disk", "resize", name, "8MiB", "--force", status=BUSY), name)
        assert os.fstat(file).st_size == 16 * MIB
        os.close(file)
    one_line(shared.ukaictl("disk", "resize", name, "7MiB", "--force", status=USAGE), "8388608")
    assert read_at(disk, 0, 16 * MIB) == pattern(16 * MIB)
    shared.verify(name)
    shared.delete(name)


def done(cluster: Cluster, *arguments: str) -> bool:
    return bool(cluster.ukaictl(*arguments, status=None).returncode == 0)


def shrink(cluster: Cluster, name: str, size: str) -> None:
    """Handles that were closed a moment ago may be counted yet."""
    wait_until(lambda: done(cluster, "disk", "resize", name, size, "--force"),
               f"{name} shrinks", 30)


def test_what_is_cut_off_is_gone_and_comes_back_as_zeros(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "32MiB", "n1,n2,n3", "--stripe", "--replicas", "2")
    data = pattern(32 * MIB)
    write_at(disk, 0, data)
    wait_until(lambda: bool(shared.info(name)["used_bytes"] > 64 * MIB), "it takes its space", 30)
    shrink(shared, name, "12MiB")
    for host in ("h1", "h2"):
        assert (shared.mount(host) / name).stat().st_size == 12 * MIB
    assert read_at(disk, 0, 32 * MIB) == data[:12 * MIB]
    wait_until(lambda: bool(shared.info(name)["used_bytes"] < 26 * MIB), "the space is back", 30)
    shared.ctl("disk", "resize", name, "32MiB")
    assert read_at(shared.mount("h2") / name, 0, 32 * MIB) == data[:12 * MIB] + bytes(20 * MIB)
    write_at(disk, 20 * MIB, data[:BLOCK])
    assert read_at(disk, 20 * MIB, BLOCK) == data[:BLOCK]
    shared.verify(name)
    assert shared.health(name) == "healthy"
    shared.delete(name)


def test_a_disk_is_never_smaller_than_its_snapshots(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "8MiB", "n1,n2")
    write_at(disk, 0, pattern(8 * MIB, 1))
    shared.ctl("snapshot", "create", f"{name}@small")
    shared.ctl("disk", "resize", name, "16MiB")
    write_at(disk, 4 * MIB, pattern(12 * MIB, 2))
    shared.ctl("snapshot", "create", f"{name}@large")
    one_line(shared.ukaictl("disk", "resize", name, "8MiB", "--force", status=REFUSED),
             f"{name}@large")
    shared.ctl("snapshot", "delete", f"{name}@large")
    shrink(shared, name, "8MiB")
    one_line(shared.ukaictl("disk", "resize", name, "4MiB", "--force", status=REFUSED),
             f"{name}@small")
    # A clone shares the blocks, and keeps what it has.
    shared.ctl("clone", name, f"{name}-clone")
    shared.ctl("snapshot", "delete", f"{name}@small")
    shrink(shared, name, "4MiB")
    shared.ctl("disk", "resize", name, "16MiB")
    assert read_at(disk, 0, 16 * MIB) == pattern(8 * MIB, 1)[:4 * MIB] + bytes(12 * MIB)
    assert read_at(shared.mount() / f"{name}-clone", 0, 8 * MIB) == (
        pattern(8 * MIB, 1)[:4 * MIB] + pattern(12 * MIB, 2)[:4 * MIB])
    shared.verify(name)
    shared.delete(f"{name}-clone")
    shared.delete(name)


def test_a_node_that_was_down_cuts_off_what_it_has(own: Cluster, name: str) -> None:
    """It may not bring back what was cut off, nor may its late order take what is new."""
    disk = own.create(name, "16MiB", "n1,n2")
    write_at(disk, 0, pattern(16 * MIB, 1))
    # With the lease goes what the nodes log: n2 is not going to be compared with n1 block by block.
    wait_until(lambda: own.info(name)["holder"] is None, "nobody has it", 30)
    own.kill("n2")
    write_at(disk, 0, pattern(MIB, 2))  # n2 goes missing
    shrink(own, name, "8MiB")
    # While it still has the old blocks, nothing can be put in their place.
    # Asked of ukaictl, which takes the lease of a closed disk, and of the host that has it.
    too_early = ("--timeout", "1s", "disk", "resize", name, "16MiB")
    one_line(own.ukaictl(*too_early, status=BUSY), "n2")
    with disk.open("r+b") as file:
        write_at(disk, MIB, pattern(16 * MIB, 1)[MIB:2 * MIB])  # so that h1 has it
        assert own.info(name)["holder"] == "h1"
        one_line(own.ukaictl(*too_early, status=BUSY), "n2")
        assert os.fstat(file.fileno()).st_size == 8 * MIB
    own.start("n2")
    wait_until(lambda: done(own, "disk", "resize", name, "16MiB"),
               "n2 has deleted what was cut off", 60)
    write_at(disk, 12 * MIB, pattern(MIB, 3))
    own.wait_healthy(name)
    own.verify(name)
    own.kill("n1")  # so that n2 is read
    wanted = (pattern(MIB, 2) + pattern(16 * MIB, 1)[MIB:8 * MIB] + bytes(4 * MIB) +
              pattern(MIB, 3) + bytes(3 * MIB))
    assert read_at(own.mount("h2") / name, 0, 16 * MIB) == wanted
    own.start("n1")
    own.wait_healthy(name)
    own.delete(name)
