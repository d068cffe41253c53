# SPDX-License-Identifier: BSD-2-Clause
"""A disk's life: created, seen, written, read, shown, resized, renamed, deleted."""
from __future__ import annotations

import errno
import os

import pytest

from cluster import Cluster, wait_until
from files import MIB, pattern, read_at, write_at

BLOCK = 4 * MIB


def test_a_new_disk_is_a_file_of_its_size_on_every_mount(shared: Cluster, name: str) -> None:
    shared.create(name, "64MiB", "n1,n2")
    for host in ("h1", "h2"):
        assert (shared.mount(host) / name).stat().st_size == 64 * MIB
        assert name in os.listdir(shared.mount(host))
    shared.delete(name)
    for host in ("h1", "h2"):
        assert not (shared.mount(host) / name).exists()
        assert name not in os.listdir(shared.mount(host))


def test_what_was_never_written_is_zero(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "16MiB", "n1,n2")
    assert read_at(disk, 0, 16 * MIB) == bytes(16 * MIB)
    shared.delete(name)


def test_stats_count_requests_by_size(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "16MiB", "n1,n2")
    with disk.open("r+b", buffering=0) as file:
        for _ in range(3):
            os.pwrite(file.fileno(), bytes(8192), 0)
        os.pread(file.fileno(), 512, 0)
        counters = shared.json("disk", "stats", name)["counters"]
        assert (counters["writes"], counters["written_bytes"]) == (3, 3 * 8192)
        assert sum(entry["count"] for entry in counters["write_sizes"]) == 3
        assert sum(entry["count"] for entry in counters["read_sizes"]) == counters["reads"] >= 1
        assert "8192" in shared.ctl("disk", "stats", name)
    shared.delete(name)


@pytest.mark.parametrize("offset,size", [
    (0, 1), (511, 2), (4095, 4098), (BLOCK - 1, 2), (BLOCK - 700, 2 * BLOCK + 1400),
    (16 * MIB - 513, 513)])
def test_a_write_changes_its_bytes_and_no_others(shared: Cluster, name: str, offset: int,
                                                 size: int) -> None:
    disk = shared.create(name, "16MiB", "n1,n2,n3")
    before = pattern(16 * MIB, 5)
    write_at(disk, 0, before)
    data = pattern(size, 6)
    write_at(disk, offset, data)
    assert read_at(disk, 0, 16 * MIB) == before[:offset] + data + before[offset + size:]
    shared.verify(name)
    shared.delete(name)


def test_the_map_shows_the_nodes_that_the_operator_chose(shared: Cluster, name: str) -> None:
    shared.create(name, "16MiB", "n3,n1")
    runs = shared.json("disk", "map", name)["runs"]
    assert [run["first"] for run in runs] == [0] and runs[-1]["last"] == 3
    assert runs[0]["cycle"] == [[{"node": "n3", "status": "in-sync"},
                                 {"node": "n1", "status": "in-sync"}]]
    shared.delete(name)


def test_stripes_lie_on_the_nodes_in_turn(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "24MiB", "n1,n2,n3", "--stripe", "--replicas", "2")
    cycle = shared.json("disk", "map", name)["runs"][0]["cycle"]
    assert [[replica["node"] for replica in block] for block in cycle] == [
        ["n1", "n2"], ["n2", "n3"], ["n3", "n1"]]
    data = pattern(24 * MIB)
    write_at(disk, 0, data)
    assert read_at(disk, 0, 24 * MIB) == data
    shared.verify(name)
    shared.delete(name)


def test_a_punched_hole_reads_as_zeros_and_frees_its_space(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "32MiB", "n1,n2")
    data = pattern(32 * MIB)
    write_at(disk, 0, data)
    wait_until(lambda: disk.stat().st_blocks * 512 >= 32 * MIB, "the space is shown", 15)
    fd = os.open(disk, os.O_RDWR)
    begin, end = BLOCK - 1000, 5 * BLOCK + 1000
    _punch(fd, begin, end - begin)
    os.fsync(fd)
    os.close(fd)
    assert read_at(disk, 0, 32 * MIB) == data[:begin] + bytes(end - begin) + data[end:]
    wait_until(lambda: disk.stat().st_blocks * 512 <= 32 * MIB - 4 * BLOCK + MIB,
               "the space is free again (asked of the nodes every few seconds)", 15)
    shared.verify(name)
    shared.delete(name)


def _punch(fd: int, offset: int, length: int) -> None:
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    keep_size_punch_hole = 3
    done = libc.fallocate(fd, keep_size_punch_hole, ctypes.c_long(offset), ctypes.c_long(length))
    assert done == 0, os.strerror(ctypes.get_errno())


def test_holes_are_found(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "32MiB", "n1,n2")
    write_at(disk, 2 * BLOCK, pattern(BLOCK))
    fd = os.open(disk, os.O_RDONLY)
    assert os.lseek(fd, 0, os.SEEK_DATA) == 2 * BLOCK
    assert os.lseek(fd, 2 * BLOCK, os.SEEK_HOLE) == 3 * BLOCK
    with pytest.raises(OSError) as raised:
        os.lseek(fd, 3 * BLOCK, os.SEEK_DATA)
    assert raised.value.errno == errno.ENXIO
    os.close(fd)
    shared.delete(name)


def test_truncation_discards_and_the_size_stays(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "16MiB", "n1,n2")
    data = pattern(16 * MIB)
    write_at(disk, 0, data)
    os.truncate(disk, 5 * MIB)
    assert disk.stat().st_size == 16 * MIB
    assert read_at(disk, 0, 16 * MIB) == data[:5 * MIB] + bytes(11 * MIB)
    with pytest.raises(OSError) as raised:
        os.truncate(disk, 16 * MIB + 1)
    assert raised.value.errno == errno.EFBIG
    shared.delete(name)


def test_a_resize_is_seen_at_once_and_keeps_the_data(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "16MiB", "n1,n2")
    data = pattern(16 * MIB)
    write_at(disk, 0, data)
    shared.ctl("disk", "resize", name, "48MiB")
    assert disk.stat().st_size == 48 * MIB
    assert (shared.mount("h2") / name).stat().st_size == 48 * MIB
    assert read_at(disk, 0, 48 * MIB) == data + bytes(32 * MIB)
    write_at(disk, 40 * MIB, data[:BLOCK])
    assert read_at(disk, 40 * MIB, BLOCK) == data[:BLOCK]
    shared.delete(name)


def test_a_renamed_disk_keeps_its_data(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "16MiB", "n1")
    data = pattern(MIB)
    write_at(disk, 3 * MIB, data)
    shared.ctl("disk", "rename", name, name + "-new")
    assert not disk.exists()
    renamed = shared.mount() / (name + "-new")
    assert read_at(renamed, 3 * MIB, MIB) == data
    shared.delete(name + "-new")


@pytest.mark.parametrize("change,number", [
    (lambda disk: os.mkdir(disk.parent / "folder"), errno.EPERM),
    (lambda disk: os.unlink(disk), errno.EPERM),
    (lambda disk: os.rename(disk, disk.parent / "other"), errno.EPERM),
    (lambda disk: os.symlink("target", disk.parent / "link"), errno.EPERM),
    (lambda disk: os.open(disk.parent / "new", os.O_CREAT | os.O_RDWR), errno.EPERM),
    (lambda disk: os.open(disk.parent / "absent", os.O_RDONLY), errno.ENOENT),
])
def test_the_mount_changes_no_names(shared: Cluster, name: str, change: object,
                                    number: int) -> None:
    disk = shared.create(name, "16MiB", "n1")
    assert callable(change)
    with pytest.raises(OSError) as raised:
        change(disk)
    assert raised.value.errno == number
    os.chmod(disk, 0o600)  # accepted and ignored
    os.utime(disk, (1, 1))
    shared.delete(name)


def test_the_originals_commands_still_work(shared: Cluster, name: str) -> None:
    shared.ctl("touch", "-s", str(16 * MIB), "-b", str(BLOCK), "-l", "n1", name)
    assert name in shared.ctl("ls").split()
    text = shared.ctl("stat", name)
    assert f"name={name}\nsize={16 * MIB}\nblock_size={BLOCK}\n" in text
    assert "00000003 : 0:Y" in text
    shared.ctl("rm", name)
    assert name not in shared.ctl("ls").split()
