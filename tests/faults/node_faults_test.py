# SPDX-License-Identifier: BSD-2-Clause
"""Nodes die, freeze, lose power. F1, F2, F8, F10, F11, F14 of the project's list of faults."""
from __future__ import annotations

import os
import random
import time
from typing import Callable

import pytest

from cluster import Cluster, wait_until
from files import MIB, pattern, write_at
from load import SLACK, STALL_S, Load
from oracles import HonestStatus, replicas_are_equal, space_is_accounted_for

NewLoad = Callable[..., Load]
Honest = Callable[[Cluster, str], HonestStatus]
SIZE = 32 * MIB
BLOCKS = ("--block-size", "1MiB")
NOTHING_S = 3.0
DIRTY = 16
CHUNK = 64 << 10  # what healing compares and copies


def finish(cluster: Cluster, name: str, load: Load, stall_s: float = STALL_S) -> None:
    """The dust settles; O1 to O5."""
    cluster.wait_healthy(name)
    load.passes(stall_s)
    load.end()
    replicas_are_equal(cluster, name)
    cluster.delete(name)
    space_is_accounted_for(cluster)


def nothing_is_done(load: Load) -> None:
    """Neither reads nor writes end, with or without an error."""
    report = load.during(NOTHING_S)
    assert not (report["reads"] or report["writes"] or report["errors"]), report


def goes_on(load: Load) -> None:
    """The only replica that has everything is back: nothing waits much longer."""
    begin = time.monotonic()
    wait_until(lambda: bool(load.during(0.5)["writes"]), "writes go on", STALL_S * SLACK)
    assert time.monotonic() - begin < STALL_S * SLACK


def test_f1_all_replicas_are_killed_and_brought_back_one_by_one(
        cluster: Cluster, name: str, load: NewLoad, honest: Honest) -> None:
    file = cluster.create(name, "32MiB", "n1,n2", *BLOCKS)
    checker, status = load(file, SIZE), honest(cluster, name)
    time.sleep(2)
    for node in ("n1", "n2"):
        cluster.kill(node)
    time.sleep(1)
    nothing_is_done(checker)
    wait_until(lambda: cluster.health(name) == "unavailable", "their sessions have ended", 20)
    cluster.start("n1")
    time.sleep(2)
    cluster.start("n2")
    goes_on(checker)
    cluster.wait_healthy(name)
    report = checker.during(2)
    assert report["writes"] and report["reads"], report
    status.passes()
    finish(cluster, name, checker, stall_s=30)


@pytest.mark.parametrize("replicas", [2, 3])
def test_f2_nodes_are_killed_in_rotation(cluster: Cluster, name: str, load: NewLoad,
                                         honest: Honest, long: bool, replicas: int) -> None:
    nodes = ["n1", "n2", "n3"][:replicas]
    file = cluster.create(name, "32MiB", ",".join(nodes), *BLOCKS)
    checker, status = load(file, SIZE), honest(cluster, name)
    dice = random.Random(replicas)
    end = time.monotonic() + (120 if long else 9)
    for turn in range(1000):
        time.sleep(dice.uniform(3, 13) if long else 1)
        if time.monotonic() > end:
            break
        node = nodes[turn % replicas]
        cluster.kill(node)
        time.sleep(2)
        cluster.start(node)
        if replicas == 2:  # the other one is the next: never without any
            cluster.wait_healthy(name)
    status.passes()
    finish(cluster, name, checker)


def test_f8_a_nodes_machine_loses_power(cluster: Cluster, name: str, load: NewLoad,
                                        honest: Honest, long: bool) -> None:
    file = cluster.create(name, "32MiB", "n1,n2", *BLOCKS)
    checker, status = load(file, SIZE), honest(cluster, name)
    for _ in range(10 if long else 2):
        for node in ("n1", "n2"):
            time.sleep(1)
            cluster.devcluster("power-cut", node)
            cluster.wait_healthy(name)
    status.passes()
    checker.passes()
    cluster.kill("n1")  # what n2 had lost, it must have again
    checker.passes()
    cluster.start("n1")
    finish(cluster, name, checker)


def test_f10_the_replica_that_missed_writes_comes_back_alone(
        cluster: Cluster, name: str, load: NewLoad, honest: Honest) -> None:
    file = cluster.create(name, "32MiB", "n1,n2", *BLOCKS)
    checker, status = load(file, SIZE), honest(cluster, name)
    time.sleep(1)
    cluster.kill("n1")
    wait_until(lambda: bool(cluster.member(name, "n1")["state"] == "missing"), "n1 is missing")
    time.sleep(1)
    cluster.kill("n2")
    cluster.start("n1")
    time.sleep(1)
    nothing_is_done(checker)
    assert cluster.health(name) != "healthy"
    assert not cluster.json("status")["healthy"]
    cluster.start("n2")
    goes_on(checker)
    cluster.wait_healthy(name)
    status.passes()
    finish(cluster, name, checker, stall_s=30)


def test_f11_overlapping_outages_cost_no_full_copy(cluster: Cluster, name: str) -> None:
    file = cluster.create(name, "128MiB", "n1,n2,n3")
    holder = os.open(file, os.O_RDWR)  # the counters are those of one lease
    write_at(file, 0, pattern(64 * MIB))
    for node, first in (("n2", 8), ("n3", 24)):
        cluster.kill(node)
        for index in range(DIRTY):
            write_at(file, (first + index) * MIB, pattern(CHUNK, first + index))
    before = cluster.json("disk", "stats", name)["counters"]["healed_bytes"]
    for node in ("n2", "n3"):
        cluster.start(node)
    cluster.wait_healthy(name)
    # n2 lacks both rounds, n3 the second.
    moved = cluster.json("disk", "stats", name)["counters"]["healed_bytes"] - before
    os.close(holder)
    assert 0 < moved <= 1.2 * 3 * DIRTY * CHUNK, moved
    replicas_are_equal(cluster, name)
    cluster.delete(name)
    space_is_accounted_for(cluster)


@pytest.mark.alone
def test_f14_a_node_is_stuck(cluster: Cluster, name: str, load: NewLoad, honest: Honest,
                             long: bool) -> None:
    file = cluster.create(name, "32MiB", "n1,n2", *BLOCKS)
    checker, status = load(file, SIZE), honest(cluster, name)
    usual_s = checker.during(3)["p99_s"]
    cluster.devcluster("stop", "n2")
    time.sleep(STALL_S)
    assert cluster.member(name, "n2")["state"] == "missing"
    stuck_s = checker.during(20 if long else 4)["p99_s"]
    cluster.devcluster("cont", "n2")
    cluster.wait_healthy(name)
    assert stuck_s < 2 * SLACK * usual_s + 0.05, (stuck_s, usual_s)
    status.passes()
    finish(cluster, name, checker)
