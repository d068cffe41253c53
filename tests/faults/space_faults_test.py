# SPDX-License-Identifier: BSD-2-Clause
"""Nodes run full; a disk goes while a node is away. F16, F17, F28 of the list of faults."""
from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

import pytest

from cluster import Cluster, run, wait_until
from files import MIB, pattern, read_at, write_at
from load import Load
from oracles import HonestStatus, replicas_are_equal, space_is_accounted_for

NewLoad = Callable[..., Load]
Honest = Callable[[Cluster, str], HonestStatus]
RESERVE = 256 * MIB  # a node's default


@contextmanager
def nearly_full(cluster: Cluster, node: str, left: int) -> Iterator[None]:
    """A file beside the store leaves it `left` bytes above its reserve."""
    data = cluster.home(node) / "data"
    ballast = data / "ballast"
    free = os.statvfs(data)
    size = free.f_bavail * free.f_frsize - RESERVE - left
    run(["fallocate", "--length", str(size), str(ballast)])
    try:
        yield
    finally:
        ballast.unlink(missing_ok=True)


def test_f16_a_node_is_full_for_a_while(cluster: Cluster, name: str, load: NewLoad,
                                        honest: Honest) -> None:
    file = cluster.create(name, "64MiB", "n1,n2", "--block-size", "1MiB")
    status = honest(cluster, name)
    with nearly_full(cluster, "n2", 4 * MIB):
        checker = load(file, 64 * MIB)
        wait_until(lambda: bool(cluster.member(name, "n2")["state"] == "missing"),
                   "n2 could not take a write", 30)
        report = checker.during(3)
        assert report["writes"] and not report["errors"], report
        assert cluster.health(name) == "degraded"
        missing_since = cluster.member(name, "n2")["since_unix_s"]
        time.sleep(3)
        assert cluster.member(name, "n2")["since_unix_s"] == missing_since  # it does not flap
    cluster.wait_healthy(name)
    status.passes()
    checker.passes()
    checker.end()
    replicas_are_equal(cluster, name)
    cluster.delete(name)
    space_is_accounted_for(cluster)


def write_until_full(file: Path, begin: int, size: int) -> int:
    """Returns how much went in behind `begin` before ENOSPC."""
    fd = os.open(file, os.O_RDWR)
    try:
        for offset in range(begin, size, MIB):
            try:
                os.pwrite(fd, pattern(MIB, offset), offset)
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
                return offset - begin
        raise AssertionError("it never was full")
    finally:
        os.close(fd)


def test_f17_all_nodes_are_full(cluster: Cluster, name: str) -> None:
    file = cluster.create(name, "128MiB", "n1,n2")
    old = pattern(8 * MIB, 7)
    write_at(file, 0, old)
    with nearly_full(cluster, "n1", 16 * MIB), nearly_full(cluster, "n2", 16 * MIB):
        begin = time.monotonic()
        full_at = 8 * MIB + write_until_full(file, 8 * MIB, 128 * MIB)
        assert time.monotonic() - begin < 60
        assert read_at(file, 0, 8 * MIB) == old
        new = pattern(8 * MIB, 8)
        write_at(file, 0, new)  # what has its space can be written again
        assert read_at(file, 0, 8 * MIB) == new
    cluster.wait_healthy(name)
    write_at(file, full_at, pattern(MIB, full_at))
    for offset in range(8 * MIB, full_at, MIB):
        assert read_at(file, offset, MIB) == pattern(MIB, offset)
    assert read_at(file, 0, 8 * MIB) == new
    replicas_are_equal(cluster, name)
    cluster.delete(name)
    space_is_accounted_for(cluster)


@pytest.mark.parametrize("away", ["dead", "frozen"])
def test_f28_a_disk_is_deleted_while_a_node_is_away(cluster: Cluster, name: str,
                                                    away: str) -> None:
    file = cluster.create(name, "16MiB", "n1,n2")
    write_at(file, 0, pattern(16 * MIB))
    identity = cluster.info(name)["id"]
    folder = cluster.home("n2") / "data" / "store" / "disks" / identity
    assert folder.exists()
    if away == "dead":
        cluster.kill("n2")
    else:
        cluster.devcluster("stop", "n2")
    cluster.delete(name)
    again = cluster.create(name, "16MiB", "n1,n3")  # the same name, another disk
    assert read_at(again, 0, 16 * MIB) == bytes(16 * MIB)
    if away == "dead":
        cluster.start("n2")
    else:
        cluster.devcluster("cont", "n2")
    wait_until(lambda: not folder.exists(), "its space comes back", 40)
    space_is_accounted_for(cluster)
    assert read_at(again, 0, 16 * MIB) == bytes(16 * MIB)
    cluster.delete(name)
