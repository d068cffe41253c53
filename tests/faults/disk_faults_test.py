# SPDX-License-Identifier: BSD-2-Clause
"""A node's disk is slow or fails. F14 and F15 of the project's list of faults."""
from __future__ import annotations

import time
from pathlib import Path
from typing import Callable

import pytest

from cluster import Cluster, wait_until
from files import MIB
from load import SLACK, STALL_S, Load
from oracles import HonestStatus, replicas_are_equal, space_is_accounted_for
from preloads import BadDisk

NewCluster = Callable[..., Cluster]
NewLoad = Callable[..., Load]
Honest = Callable[[Cluster, str], HonestStatus]
SIZE = 32 * MIB
BLOCKS = ("--block-size", "1MiB")
REST_S = 10  # of a node that was slow for the first time


@pytest.mark.alone
def test_f14_a_nodes_disk_is_slow(new_cluster: NewCluster, name: str, load: NewLoad,
                                  honest: Honest, long: bool, tmp_path: Path) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "1")
    file = cluster.create(name, "32MiB", "n1,n2", *BLOCKS)
    disk = BadDisk(cluster, "n2", tmp_path)
    cluster.wait_healthy(name)
    checker, status = load(file, SIZE), honest(cluster, name)
    usual_s = checker.during(3)["p99_s"]
    disk.bad("slow=200")  # five requests a second
    wait_until(lambda: bool(cluster.member(name, "n2")["state"] == "missing"),
               "the slow node is set aside", 10 * SLACK)
    wait_until(lambda: bool(checker.during(2)["p99_s"] < 2 * SLACK * usual_s + 0.05),
               f"the guest is as fast as before ({usual_s} s)", 10)
    if long:
        report = checker.during(20)
        assert report["writes"] and not report["errors"], report
    disk.good()
    wait_until(lambda: cluster.health(name) == "healthy", "the node is back when it has rested",
               REST_S + STALL_S * SLACK)
    status.passes()
    checker.passes()
    checker.end()
    replicas_are_equal(cluster, name)


@pytest.mark.parametrize("trouble", ["read-eio", "write-eio", "flush-eio",
                                     "read-eio write-eio flush-eio"])
def test_f15_a_nodes_disk_fails(new_cluster: NewCluster, name: str, load: NewLoad, honest: Honest,
                                long: bool, tmp_path: Path, trouble: str) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "1")
    file = cluster.create(name, "32MiB", "n1,n2", *BLOCKS)
    disk = BadDisk(cluster, "n1", tmp_path)
    cluster.wait_healthy(name)
    checker, status = load(file, SIZE), honest(cluster, name)
    for _ in range(5 if long else 1):
        time.sleep(2)
        disk.bad(trouble)
        report = checker.during(4)
        assert report["writes"] and report["reads"] and not report["errors"], report
        if trouble == "read-eio":  # nothing is missed; but its disk did fail
            assert any(entry["node"] == "n1" and "Input/output error" in entry["what"]
                       for entry in cluster.json("errors")["errors"])
        else:
            assert cluster.member(name, "n1")["state"] == "missing"
            assert cluster.health(name) == "degraded"
        disk.good()
        cluster.wait_healthy(name)
    status.passes()
    checker.passes()
    checker.end()
    replicas_are_equal(cluster, name)
    cluster.delete(name)
    space_is_accounted_for(cluster)
