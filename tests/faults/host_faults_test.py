# SPDX-License-Identifier: BSD-2-Clause
"""Hosts pause and die. F3, F6, F30 of the project's list of faults."""
from __future__ import annotations

import time
from typing import Callable

from cluster import Cluster
from files import MIB
from load import Load
from oracles import HonestStatus, replicas_are_equal, space_is_accounted_for

NewLoad = Callable[..., Load]
Honest = Callable[[Cluster, str], HonestStatus]
SIZE = 32 * MIB
BLOCKS = ("--block-size", "1MiB")


def finish(cluster: Cluster, name: str, load: Load) -> None:
    """The old holder's handles got errors; but nothing that was acknowledged is gone."""
    report = load.ask("check")
    assert not report["violations"], report
    load.end()
    cluster.wait_healthy(name)
    replicas_are_equal(cluster, name)
    cluster.delete(name)
    space_is_accounted_for(cluster)


def test_f3_a_paused_host_is_taken_over_and_resumed(cluster: Cluster, name: str, load: NewLoad,
                                                    honest: Honest, long: bool) -> None:
    file = cluster.create(name, "32MiB", "n1,n2", *BLOCKS)
    checker, status = load(file, SIZE), honest(cluster, name)
    for turn in range(4 if long else 1):
        old, new = ("h1", "h2") if turn % 2 == 0 else ("h2", "h1")
        time.sleep(1)
        cluster.devcluster("stop", old)
        checker.ask(f"take-over {cluster.mount(new) / name}")
        time.sleep(1)
        cluster.devcluster("cont", old)
        assert checker.ask("stale")["stale"] == "EIO"
        report = checker.during(3)
        assert report["writes"] and not report["violations"], report
        assert cluster.info(name)["holder"] == new
    status.passes()
    finish(cluster, name, checker)


def test_f6_a_killed_host_is_taken_over(cluster: Cluster, name: str, load: NewLoad,
                                        honest: Honest, long: bool) -> None:
    file = cluster.create(name, "32MiB", "n1,n2", *BLOCKS)
    checker, status = load(file, SIZE, "--writes", "0.9", "--iops", "2000"), honest(cluster, name)
    for turn in range(6 if long else 1):
        old, new = ("h1", "h2") if turn % 2 == 0 else ("h2", "h1")
        time.sleep(2)
        cluster.kill(old)
        checker.ask(f"take-over {cluster.mount(new) / name}")  # reads everything twice
        cluster.start(old)
        report = checker.during(1)
        assert report["writes"] and not report["violations"], report
    status.passes()
    finish(cluster, name, checker)


def test_f30_ukaid_is_killed_and_started_again(cluster: Cluster, name: str, load: NewLoad,
                                               honest: Honest, long: bool) -> None:
    file = cluster.create(name, "32MiB", "n1,n2", *BLOCKS)
    checker, status = load(file, SIZE), honest(cluster, name)
    for _ in range(6 if long else 1):
        time.sleep(2)
        cluster.kill("h1")
        cluster.start("h1")
        begin = time.monotonic()
        checker.ask(f"take-over {file}")  # its own lease is no obstacle
        assert time.monotonic() - begin < 10
        report = checker.during(1)
        assert report["writes"] and not report["violations"], report
    status.passes()
    finish(cluster, name, checker)
