# SPDX-License-Identifier: BSD-2-Clause
"""Big disks and many disks, each within its time."""
from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from cluster import Cluster
from files import MIB, pattern, read_at, write_at

TIB = 1 << 40
DISKS = 1000
SLOW = 3  # times slower that a busy CI machine may be


def test_a_disk_of_16_tib(shared: Cluster, name: str) -> None:
    metadata_before = shared.metadata_bytes()
    begin = time.monotonic()
    disk = shared.create(name, "16TiB", "n1,n2,n3", "--stripe", "--replicas", "2")
    assert time.monotonic() - begin < 2 * SLOW
    assert shared.metadata_bytes() - metadata_before < 1_000_000
    begin = time.monotonic()
    with disk.open("r+b"):
        assert time.monotonic() - begin < 1 * SLOW
    data = pattern(MIB)
    write_at(disk, 0, data)
    write_at(disk, 16 * TIB - MIB, data)
    assert disk.stat().st_size == 16 * TIB
    assert read_at(disk, 0, MIB) == data
    assert read_at(disk, 16 * TIB - MIB, 2 * MIB) == data
    assert read_at(disk, 8 * TIB, MIB) == bytes(MIB)
    shared.delete(name)


def test_a_thousand_disks_are_listed_within_a_second(shared: Cluster, name: str) -> None:
    names = [f"{name}-{number:04}" for number in range(DISKS)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda disk: shared.create(disk, "1GiB", "n1,n2"), names))
        begin = time.monotonic()
        listed = [disk["name"] for disk in shared.json("disk", "list")["disks"]]
        seconds = time.monotonic() - begin
        assert set(names) <= set(listed)
        assert seconds < 1 * SLOW, f"{seconds:.2f} s"
        begin = time.monotonic()
        assert set(names) <= {path.name for path in shared.mount().iterdir()}
        assert time.monotonic() - begin < 1 * SLOW
        list(pool.map(lambda disk: shared.ctl("disk", "delete", disk), names))
    assert not set(names) & set(shared.ctl("ls").split())
