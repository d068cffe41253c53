# SPDX-License-Identifier: BSD-2-Clause
"""Block files are damaged behind the nodes' backs: good data comes back, the files are mended."""
from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Callable

import pytest

from cluster import Cluster, wait_until
from files import MIB, pattern, read_at, write_at

Damage = Callable[[list[Path]], None]


def turn_bits(files: list[Path]) -> None:
    chance = random.Random(1)
    for path in files:
        with path.open("r+b") as file:
            for _ in range(10):
                at = chance.randrange(4 * MIB)
                byte = os.pread(file.fileno(), 1, at)[0]
                os.pwrite(file.fileno(), bytes([byte ^ 1 << chance.randrange(8)]), at)


def shorten(files: list[Path]) -> None:
    for path in files:
        os.truncate(path, MIB)


def zero(files: list[Path]) -> None:
    for path in files:
        size = path.stat().st_size
        os.truncate(path, 0)
        os.truncate(path, size)


def swap(files: list[Path]) -> None:
    first, second = files[:2]
    rest = first.with_suffix(".away")
    first.rename(rest)
    second.rename(first)
    rest.rename(second)


def delete(files: list[Path]) -> None:
    for path in files:
        path.unlink()


def block_paths(cluster: Cluster, node: str, name: str) -> list[Path]:
    disk = cluster.home(node) / "data" / "store" / "disks" / cluster.info(name)["id"]
    return sorted(path for path in disk.glob("*/*") if path.suffix != ".is")


@pytest.mark.parametrize("damage", [turn_bits, shorten, zero, swap, delete])
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_f12_damage_on_one_node_is_never_read_and_mended(cluster: Cluster, name: str,
                                                         damage: Damage, running: bool) -> None:
    disk = cluster.create(name, "16MiB", "n1,n2")
    content = pattern(16 * MIB, 3)
    write_at(disk, 0, content)
    fd = os.open(disk, os.O_RDWR)  # the counters are those of one grant of the lease
    cluster.ctl("scrub", name)
    if not running:
        cluster.kill("n1")
    damage(block_paths(cluster, "n1", name))
    if not running:
        cluster.start("n1")
        cluster.wait_healthy(name)
    assert read_at(disk, 0, 16 * MIB) == content
    found = cluster.json("scrub", name)
    assert found["damaged_units"] == found["repaired_units"]
    assert cluster.json("scrub", name)["damaged_units"] == 0
    if running:  # else it was healed before anybody could read it
        counters = cluster.json("disk", "stats", name)["counters"]
        assert counters["damaged_units"] > 0
        assert counters["damaged_units"] == counters["repaired_units"]
        assert counters["read_errors"] == 0
        assert any(entry["node"] == "n1" and entry["disk"] == name and "checksum" in entry["what"]
                   for entry in cluster.json("errors")["errors"])
    cluster.verify(name)
    cluster.kill("n2")  # what was mended is good enough alone
    wait_until(lambda: read_at(disk, 0, 16 * MIB) == content, "n1 alone has it", 15)
    cluster.start("n2")
    cluster.wait_healthy(name)
    os.close(fd)
    cluster.delete(name)


def test_f13_damage_on_all_nodes_is_an_error_there_and_a_write_heals_it(cluster: Cluster,
                                                                        name: str) -> None:
    disk = cluster.create(name, "8MiB", "n1,n2")
    content = pattern(8 * MIB, 4)
    write_at(disk, 0, content)
    cluster.ctl("scrub", name)
    for node in ("n1", "n2"):
        with block_paths(cluster, node, name)[0].open("r+b") as file:
            byte = os.pread(file.fileno(), 1, MIB + 5)[0]
            os.pwrite(file.fileno(), bytes([byte ^ 4]), MIB + 5)
    with pytest.raises(OSError):
        read_at(disk, MIB, 4096)
    assert read_at(disk, 0, MIB) == content[:MIB]
    assert read_at(disk, MIB + 4096, 7 * MIB - 4096) == content[MIB + 4096:]
    assert "could not be repaired" in cluster.ukaictl("scrub", name, status=1).stderr
    write_at(disk, MIB, content[MIB:MIB + 4096])
    assert read_at(disk, 0, 8 * MIB) == content
    assert cluster.json("scrub", name)["damaged_units"] == 0
    cluster.delete(name)
