# SPDX-License-Identifier: BSD-2-Clause
"""Some links are cut and others not. F18 of the list of faults.

A cut in one direction is a route into nothing: packets vanish without a word, connections stay.
"""
from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

import pytest

from cluster import Cluster, run, wait_until
from files import MIB
from load import STALL_S, Load
from oracles import HonestStatus, replicas_are_equal, space_is_accounted_for

NewLoad = Callable[..., Load]
Honest = Callable[[Cluster, str], HonestStatus]
SIZE = 32 * MIB
SESSION_S = 5  # of a dev cluster


@contextmanager
def dropped(cluster: Cluster, *directions: tuple[str, str]) -> Iterator[None]:
    """Nothing gets from the first to the second of each pair."""
    daemons = cluster.daemons()
    tag = hashlib.sha256(str(cluster.folder).encode()).hexdigest()[:6]  # as devcluster does

    def route(action: str) -> None:
        for source, target in directions:
            address = daemons[target]["address"].split(":")[0]
            run(["ip", "-n", f"ukai-{tag}-{source}", "route", action, "blackhole", f"{address}/32"])

    route("add")
    try:
        yield
    finally:
        route("del")


@pytest.fixture(scope="module")
def apart() -> Iterator[Cluster]:
    """Each daemon on a network of its own."""
    folder = Path(tempfile.mkdtemp(prefix="ukai-faults-"))
    cluster = Cluster(folder, "--nodes", "2", "--hosts", "2", "--netns")
    yield cluster
    cluster.end()
    shutil.rmtree(folder)


def finish(cluster: Cluster, name: str, load: Load, stall_s: float = STALL_S) -> None:
    cluster.wait_healthy(name)
    load.passes(stall_s)
    load.end()
    replicas_are_equal(cluster, name)
    cluster.delete(name)
    space_is_accounted_for(cluster)


@pytest.mark.parametrize("directions", [
    [("h1", "n2"), ("n2", "h1")], [("h1", "n2")], [("n2", "h1")]],
    ids=["both", "to_the_node", "from_the_node"])
def test_f18_a_host_and_a_node_are_cut_apart(apart: Cluster, name: str, load: NewLoad,
                                             honest: Honest,
                                             directions: list[tuple[str, str]]) -> None:
    file = apart.create(name, "32MiB", "n1,n2", "--block-size", "1MiB")
    checker, status = load(file, SIZE), honest(apart, name)
    time.sleep(1)
    epoch = apart.info(name)["epoch"]
    with dropped(apart, *directions):
        time.sleep(STALL_S)
        assert apart.member(name, "n2")["state"] == "missing"
        assert apart.info(name)["health"] == "degraded"
        report = checker.during(2)
        assert report["writes"] and max(report["longest_s"].values()) < STALL_S, report
    apart.wait_healthy(name)
    assert apart.info(name)["epoch"] == epoch
    status.passes()
    finish(apart, name, checker)


def test_f18_two_nodes_are_cut_apart(apart: Cluster, name: str, load: NewLoad) -> None:
    """The guest sees nothing; only healing waits."""
    file = apart.create(name, "32MiB", "n1,n2", "--block-size", "1MiB")
    checker = load(file, SIZE)
    with dropped(apart, ("n1", "n2"), ("n2", "n1")):
        report = checker.during(2)
        assert report["writes"] and not report["errors"], report
        assert apart.health(name) == "healthy"
        apart.kill("n2")
        time.sleep(1)
        apart.start("n2")
        time.sleep(3)
        assert apart.member(name, "n2")["state"] == "missing"  # it cannot reach its source
    finish(apart, name, checker)


@pytest.mark.parametrize("cut_s", [SESSION_S - 3, SESSION_S + 3], ids=["short", "long"])
def test_f18_a_host_and_zookeeper_are_cut_apart(apart: Cluster, name: str, load: NewLoad,
                                                cut_s: int) -> None:
    """I/O goes on: the nodes confirm the epoch. After a lost session there is a new one."""
    file = apart.create(name, "32MiB", "n1,n2", "--block-size", "1MiB")
    checker = load(file, SIZE)
    time.sleep(1)
    epoch = apart.info(name)["epoch"]
    checker.ask("mark")
    with dropped(apart, ("h1", "zk"), ("zk", "h1")):
        time.sleep(cut_s)
        report = checker.ask("mark")
        assert report["writes"] and max(report["longest_s"].values()) < 1, report
        if cut_s < SESSION_S:
            # its session stands
            assert apart.info(name)["holder"] == "h1"
    assert checker.during(2)["writes"], "writes go on"
    expected = epoch + (1 if cut_s > SESSION_S else 0)
    wait_until(lambda: bool(apart.info(name)["epoch"] == expected), "the epoch is right", 15)
    finish(apart, name, checker, stall_s=STALL_S)
