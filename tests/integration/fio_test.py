# SPDX-License-Identifier: BSD-2-Clause
"""fio with verification: patterns, sizes and depths, on 1, 2 and 3 replicas and stripes."""
from __future__ import annotations

from pathlib import Path

import pytest

from cluster import Cluster
from files import MIB, fio

LAYOUTS = {
    "one": ("n1",),
    "two": ("n1,n2",),
    "three": ("n1,n2,n3",),
    "striped": ("n1,n2,n3", "--stripe", "--replicas", "2"),
}
# pattern, request size, depth, bytes in all. The odd offset makes requests cross block borders.
JOBS = [
    ("write", "512", 1, "1m"),
    ("randwrite", "512", 64, "2m"),
    ("randwrite", "4k", 1, "4m"),
    ("randwrite", "4k", 16, "32m"),
    ("randrw", "4k", 64, "32m"),
    ("write", "64k", 4, "64m"),
    ("randwrite", "96k", 16, "48m"),
    ("randrw", "1m", 8, "64m"),
    ("write", "4m", 2, "64m"),
    ("randwrite", "4m", 64, "128m"),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_verified_io_on(layout: str, shared: Cluster, name: str) -> None:
    nodes, *options = LAYOUTS[layout]
    disk = shared.create(name, "256MiB", nodes, *options)
    for pattern, request, depth, size in JOBS:
        fio(disk, f"rw={pattern}", f"bs={request}", f"iodepth={depth}", f"size={size}",
            f"offset={MIB + 512}", f"io_size={size}")
    shared.verify(name)
    shared.delete(name)


def test_verified_io_on_small_blocks(shared: Cluster, name: str) -> None:
    """64 KiB blocks: a 4 MiB request covers 64 of them, and most requests cross a border."""
    disk = shared.create(name, "64MiB", "n1,n2", "--block-size", "64KiB")
    for request in ("12k", "100k", "4m"):
        fio(disk, "rw=randwrite", f"bs={request}", "iodepth=16", "size=48m", "offset=512")
    shared.verify(name)
    shared.delete(name)


@pytest.mark.parametrize("engine", ["psync", "io_uring", "posixaio"])
def test_verified_io_with(engine: str, shared: Cluster, name: str) -> None:
    disk = shared.create(name, "64MiB", "n1,n2")
    fio(disk, f"ioengine={engine}", "rw=randwrite", "bs=4k", "iodepth=8", "size=8m", "fsync=64")
    fio(disk, f"ioengine={engine}", "rw=write", "bs=128k", "direct=0", "size=32m", "fdatasync=16")
    fio(disk, f"ioengine={engine}", "rw=randwrite", "bs=4k", "sync=dsync", "size=2m")
    shared.delete(name)


def test_many_writers_of_one_disk(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "256MiB", "n1,n2")
    fio(disk, "rw=randwrite", "bs=4k", "iodepth=16", "size=8m", "numjobs=8",
        "offset_increment=16m", "group_reporting")
    shared.verify(name)
    shared.delete(name)


def test_many_disks_at_once(shared: Cluster, name: str) -> None:
    disks = [f"{name}-{number}" for number in range(8)]
    paths = [shared.create(disk, "32MiB", "n1,n2") for disk in disks]
    names = ":".join(map(str, paths))
    fio(Path(names), "rw=randwrite", "bs=16k", "iodepth=32", "size=64m")
    for disk in disks:
        shared.verify(disk)
        shared.delete(disk)
