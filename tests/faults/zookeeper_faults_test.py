# SPDX-License-Identifier: BSD-2-Clause
"""ZooKeeper freezes, dies, is damaged; clocks jump. F4, F20, F29, F33 of the list of faults."""
from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Callable

import pytest

from cluster import Cluster, wait_until
from files import MIB, pattern, read_at, write_at
from load import Load
from oracles import HonestStatus, locations, replicas_are_equal, space_is_accounted_for
from preloads import start_with

NewLoad = Callable[..., Load]
NewCluster = Callable[..., Cluster]
Honest = Callable[[Cluster, str], HonestStatus]
SIZE = 32 * MIB
ENSEMBLE = ("zk1", "zk2", "zk3")
# ZooKeeper's packets while all clients connect again: some tens each, not thousands.
STAMPEDE_PACKETS = 3000
LIBFAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def of_blocks(blocks: list[int]) -> tuple[str, ...]:
    return ("--block-size", str(MIB), "--blocks",
            ",".join(str(block) for block in blocks))


def finish(cluster: Cluster, name: str, *loads: Load, stall_s: float = 4) -> None:
    cluster.wait_healthy(name)
    for load in loads:
        load.passes(stall_s)
        load.end()
    replicas_are_equal(cluster, name)
    cluster.delete(name)
    space_is_accounted_for(cluster)


@pytest.mark.parametrize("flush", [(), pytest.param(("flushing",), marks=pytest.mark.xfail(
    strict=True, reason="the kernel lets nobody write to a file while an fsync of it waits "
    "(fuse_fsync holds the inode's lock), and a flush is about all blocks"))])
def test_f4_zookeeper_freezes_and_a_node_dies(cluster: Cluster, name: str, load: NewLoad,
                                              flush: tuple[str, ...]) -> None:
    file = cluster.create(name, "32MiB", "n1,n2,n3", "--stripe", "--replicas", "2",
                          "--block-size", "1MiB")
    where = locations(cluster, name)
    hit = load(file, SIZE, *of_blocks([block for block in where if "n3" in where[block]]),
               "--writes", "1", "--no-flush")
    spared = load(file, SIZE, *of_blocks([block for block in where if "n3" not in where[block]]),
                  *(() if flush else ("--no-flush",)))
    time.sleep(1)
    cluster.devcluster("stop", "zk")
    cluster.kill("n3")
    spared.ask("mark")
    acked = hit.during(2.5)
    others = spared.ask("mark")
    cluster.devcluster("cont", "zk")
    # What was answered before the kill may still have been counted.
    assert acked["writes"] <= 1, acked
    assert others["writes"] and others["longest_s"]["write"] < 2, json.dumps(others)
    assert hit.during(6)["writes"]
    cluster.start("n3")
    finish(cluster, name, hit, spared, stall_s=10)


def in_quorum(cluster: Cluster, name: str) -> str:
    """leader, follower, or nothing."""
    address = cluster.daemons()[name]["address"]
    host, port = address.split(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"srvr")
            text = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    except OSError:
        return ""
    return next((line.split()[1] for line in text.splitlines() if line.startswith("Mode:")), "")


def packets(cluster: Cluster) -> int:
    """What the ensemble has received since its members started."""
    total = 0
    for daemon in cluster.daemons().values():
        if daemon["kind"] != "zk":
            continue
        host, port = daemon["address"].split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"mntr")
            text = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
        total += sum(int(line.split()[1]) for line in text.splitlines()
                     if line.startswith("zk_packets_received"))
    return total


def test_f20_zookeepers_die_in_rotation(new_cluster: NewCluster, name: str, load: NewLoad,
                                        honest: Honest, long: bool) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "1", "--zookeepers", "3")
    file = cluster.create(name, "32MiB", "n1,n2", "--block-size", "1MiB")
    checker, status = load(file, SIZE), honest(cluster, name)
    for _ in range(10 if long else 1):
        leader = next(one for one in ENSEMBLE if in_quorum(cluster, one) == "leader")
        for victim in (leader, *(one for one in ENSEMBLE if one != leader)):
            cluster.kill(victim)
            time.sleep(1.5)
            cluster.start(victim)
    for one in ENSEMBLE:  # all at once, for less than a session lasts
        cluster.kill(one)
    cluster.devcluster("up")
    wait_until(lambda: cluster.ukaictl("status", status=None).returncode == 0, "it serves", 30)
    status.passes()
    finish(cluster, name, checker)
    time.sleep(2)
    assert packets(cluster) < STAMPEDE_PACKETS * (10 if long else 1)


def test_f20_the_quorum_is_gone_for_longer_than_a_session(
        new_cluster: NewCluster, name: str, load: NewLoad, long: bool) -> None:
    """Nothing is lost, and no error is seen: what waits goes on with the quorum."""
    cluster = new_cluster("--nodes", "2", "--hosts", "1", "--zookeepers", "3")
    file = cluster.create(name, "32MiB", "n1,n2", "--block-size", "1MiB")
    checker = load(file, SIZE)
    gone_s = 300 if long else 8
    for one in ENSEMBLE[:2]:
        cluster.kill(one)
    time.sleep(gone_s)
    cluster.devcluster("up")
    wait_until(lambda: bool(checker.during(1)["writes"]), "writes go on", 30)
    finish(cluster, name, checker, stall_s=gone_s + 10)


def test_f20_guest_io_never_stops_without_a_quorum(new_cluster: NewCluster, name: str,
                                                   load: NewLoad) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "1", "--zookeepers", "3")
    file = cluster.create(name, "32MiB", "n1,n2", "--block-size", "1MiB")
    checker = load(file, SIZE)
    for one in ENSEMBLE[:2]:
        cluster.kill(one)
    time.sleep(7)
    report = checker.during(2)
    cluster.devcluster("up")
    wait_until(lambda: bool(checker.during(1)["writes"]), "writes go on", 30)
    assert report["writes"], report


def start_with_a_clock(cluster: Cluster, daemon: str, clock: Path) -> None:
    """libfaketime: its wall clock is what the file says, its monotonic clock the machine's."""
    start_with(cluster, daemon, LIBFAKETIME, clock.parent / "bin",
               {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
                "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"})


@pytest.mark.parametrize("jump", ["+1h", "-1h"])
def test_f29_clocks_jump_an_hour(new_cluster: NewCluster, name: str, load: NewLoad,
                                 honest: Honest, tmp_path: Path, jump: str) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "2")
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    for daemon in ("n1", "h1"):
        start_with_a_clock(cluster, daemon, clock)
    file = cluster.create(name, "32MiB", "n1,n2", "--block-size", "1MiB")
    checker, status = load(file, SIZE), honest(cluster, name)
    time.sleep(1)
    epoch = cluster.info(name)["epoch"]
    clock.write_text(f"{jump}\n")
    report = checker.during(6)  # longer than a session
    assert report["writes"] and not report["errors"], report
    assert cluster.info(name)["epoch"] == epoch  # the lease was neither lost nor taken again
    # A paused holder's lease ends as ever, however young or old its clock makes it.
    cluster.devcluster("stop", "h1")
    checker.ask(f"take-over {cluster.mount('h2') / name}")
    cluster.devcluster("cont", "h1")
    assert checker.ask("stale")["stale"] == "EIO"
    status.passes()
    report = checker.ask("check")
    assert not report["violations"], report
    checker.end()
    cluster.wait_healthy(name)
    replicas_are_equal(cluster, name)


@pytest.mark.parametrize("record", ["", "/map/0"])
def test_f33_a_damaged_record_blocks_its_disk_alone(cluster: Cluster, name: str,
                                                    record: str) -> None:
    good, bad = f"{name}-good", f"{name}-bad"
    data = pattern(MIB)
    for disk in (good, bad):
        write_at(cluster.create(disk, "8MiB", "n1,n2"), 0, data)
    identity = cluster.info(bad)["id"]
    wait_until(lambda: not cluster.json("lease", "show", bad)["held"], "the lease is free", 20)
    segments = cluster.zookeeper_shell(f"ls /ukai/disks/{identity}/map")
    path = f"/ukai/disks/{identity}{record}"
    if record:
        segment = segments.strip().splitlines()[-1].strip("[]").split(",")[0].strip()
        path = f"/ukai/disks/{identity}/map/{segment}"
    cluster.zookeeper_shell(f"set {path} damaged-on-purpose")
    failed = cluster.ukaictl("disk", "map", bad, status=None)
    assert failed.returncode == 1 and bad in failed.stderr, failed
    assert len(failed.stderr.strip().splitlines()) == 1, failed.stderr
    with pytest.raises(OSError):
        read_at(cluster.mount() / bad, 0, 4096)
    assert read_at(cluster.mount() / good, 0, MIB) == data
    write_at(cluster.mount("h1") / good, 0, data)
    shown = cluster.json("status")
    assert not shown["healthy"] and bad in str(shown["problems"]), shown
    assert good not in str(shown["problems"]), shown
    run_all = cluster.daemons()
    assert all(daemon["state"] == "running" for daemon in run_all.values())
    cluster.zookeeper_shell(f"deleteall /ukai/disks/{identity}", f"deleteall /ukai/names/{bad}")
    cluster.delete(good)
