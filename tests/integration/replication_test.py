# SPDX-License-Identifier: BSD-2-Clause
"""Nodes die, stop, lose power and come back; the guest sees nothing and the replicas end equal."""
from __future__ import annotations

import time
from pathlib import Path
from typing import Callable

import pytest

from cluster import Cluster, wait_until
from files import MIB, background, block_files, finish, fio_command, pattern, read_at, write_at


def same_blocks(cluster: Cluster, *nodes: str) -> None:
    """The nodes hold the same block files, byte for byte."""
    first, *others = [block_files(cluster, node) for node in nodes]
    assert first
    for other in others:
        assert other == first


def load(disk: Path, seconds: int) -> list[str]:
    """Random verified writes and reads for about so long, at a pace that any machine keeps."""
    size = seconds * 2
    return fio_command(disk, "rw=randrw", "bs=4k", "iodepth=16", f"size={size}m",
                       "rate_iops=512,256", "verify_backlog=256")


def test_io_goes_on_when_a_node_is_killed(own: Cluster, name: str) -> None:
    disk = own.create(name, "128MiB", "n1,n2")
    with background(load(disk, 10)) as job:
        time.sleep(2)
        own.kill("n2")
        wait_until(lambda: bool(own.member(name, "n2")["state"] == "missing"),
                   "n2 is recorded as missing", 15)
        finish(job)
    assert own.health(name) == "degraded"
    own.start("n2")
    own.wait_healthy(name)
    own.verify(name)
    own.delete(name)


def test_a_node_that_returns_under_load_heals_by_itself(own: Cluster, name: str) -> None:
    disk = own.create(name, "128MiB", "n1,n2,n3")
    with background(load(disk, 15)) as job:
        time.sleep(2)
        own.kill("n3")
        time.sleep(4)
        own.start("n3")
        own.wait_healthy(name)
        own.verify(name)
        finish(job)
    own.verify(name)
    own.delete(name)


def test_replicas_are_the_same_files_after_healing(new_cluster: Callable[..., Cluster],
                                                   name: str) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "1")
    disk = cluster.create(name, "64MiB", "n1,n2")
    write_at(disk, 0, pattern(20 * MIB, 1))
    cluster.kill("n2")
    write_at(disk, 10 * MIB - 700, pattern(20 * MIB, 2))
    cluster.start("n2")
    cluster.wait_healthy(name)
    expected = pattern(20 * MIB, 1)[:10 * MIB - 700] + pattern(20 * MIB, 2)
    assert read_at(disk, 0, 30 * MIB - 700) == expected
    cluster.verify(name)
    same_blocks(cluster, "n1", "n2")
    cluster.kill("n1")  # what n2 got by healing is good enough alone
    assert read_at(disk, 0, 30 * MIB - 700) == expected
    cluster.start("n1")
    cluster.wait_healthy(name)


def test_only_what_was_missed_is_copied(own: Cluster, name: str) -> None:
    disk = own.create(name, "256MiB", "n1,n2")
    write_at(disk, 0, pattern(128 * MIB))
    own.kill("n2")
    write_at(disk, 100 * MIB, pattern(4 * MIB, 2))
    own.start("n2")
    with disk.open("r+b"):  # counters are the lease holder's, and go with the lease
        own.wait_healthy(name)
        own.verify(name)
        moved = own.json("disk", "stats", name)["counters"]["healed_bytes"]
    assert moved <= 16 * MIB, moved
    own.delete(name)


def test_reads_move_at_once_when_their_node_dies(own: Cluster, name: str) -> None:
    disk = own.create(name, "64MiB", "n1,n2")  # n1 is on h1's site: reads go there
    data = pattern(64 * MIB)
    write_at(disk, 0, data)
    own.kill("n1")
    begin = time.monotonic()
    assert read_at(disk, 0, MIB) == data[:MIB]
    assert time.monotonic() - begin < 4
    assert read_at(disk, 0, 64 * MIB) == data
    own.start("n1")
    own.wait_healthy(name)
    own.delete(name)


def test_a_frozen_node_holds_writes_no_longer_than_the_deadline(own: Cluster, name: str) -> None:
    disk = own.create(name, "64MiB", "n1,n2,n3")
    write_at(disk, 0, pattern(MIB))
    own.devcluster("stop", "n2")
    begin = time.monotonic()
    write_at(disk, MIB, pattern(MIB, 2))
    assert time.monotonic() - begin < 6
    own.devcluster("cont", "n2")
    own.wait_healthy(name)
    own.verify(name)
    assert read_at(disk, 0, 2 * MIB) == pattern(MIB) + pattern(MIB, 2)
    own.delete(name)


def test_writes_wait_for_the_only_replica(own: Cluster, name: str) -> None:
    disk = own.create(name, "64MiB", "n3")
    data = pattern(16 * MIB)
    write_at(disk, 0, data)
    own.kill("n3")
    with background(["dd", "if=/dev/zero", f"of={disk}", "bs=1M", "count=4", "seek=32",
                     "conv=notrunc", "oflag=direct"]) as job:
        time.sleep(3)
        assert job.poll() is None  # neither done nor failed
        own.start("n3")
        finish(job, 60)
    assert read_at(disk, 0, 16 * MIB) == data
    own.delete(name)


@pytest.mark.parametrize("flushed", [True, False])
def test_a_power_cut_loses_nothing_while_another_replica_lives(own: Cluster, name: str,
                                                               flushed: bool) -> None:
    disk = own.create(name, "64MiB", "n1,n2")
    data = pattern(24 * MIB)
    if flushed:
        write_at(disk, 0, data)
    else:
        with disk.open("r+b", buffering=0) as file:
            file.write(data)
    own.devcluster("power-cut", "n2")
    own.wait_healthy(name)
    assert read_at(disk, 0, 24 * MIB) == data
    own.verify(name)
    own.kill("n1")
    assert read_at(disk, 0, 24 * MIB) == data
    own.start("n1")
    own.wait_healthy(name)
    own.delete(name)


def test_flushed_data_survives_a_power_cut_of_all_replicas(own: Cluster, name: str) -> None:
    disk = own.create(name, "64MiB", "n1,n2")
    data = pattern(24 * MIB)
    write_at(disk, 0, data)
    for node in ("n1", "n2"):
        own.kill(node)
    for node in ("n1", "n2"):
        own.devcluster("power-cut", node)
    own.wait_healthy(name)
    assert read_at(disk, 0, 24 * MIB) == data
    own.verify(name)
    own.delete(name)


def test_zookeeper_may_restart_under_load(own: Cluster, name: str) -> None:
    disk = own.create(name, "64MiB", "n1,n2")
    with background(load(disk, 10)) as job:
        time.sleep(1)
        own.kill("zk")
        time.sleep(1)
        own.start("zk")
        finish(job)
    wait_until(lambda: own.ukaictl("disk", "info", name, status=None).returncode == 0,
               "metadata is back", 30)
    own.wait_healthy(name)
    own.verify(name)
    own.delete(name)


def test_manual_sync_of_a_healthy_disk_is_nothing(own: Cluster, name: str) -> None:
    own.create(name, "64MiB", "n1,n2")
    own.ctl("sync", name)
    own.delete(name)
