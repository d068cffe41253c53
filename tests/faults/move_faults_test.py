# SPDX-License-Identifier: BSD-2-Clause
"""Blocks move while everybody is killed; a site is cut off. F7 and F19 of the list of faults."""
from __future__ import annotations

import random
import subprocess
import time
from typing import Any, Callable

import pytest

from cluster import Cluster, binary, wait_until
from files import MIB
from load import Load
from oracles import HonestStatus, locations, replicas_are_equal, space_is_accounted_for
from wan import Wan

NewCluster = Callable[..., Cluster]
NewLoad = Callable[..., Load]
Honest = Callable[[Cluster, str], HonestStatus]
BLOCKS = ("--block-size", "1MiB")


def the_job(cluster: Cluster, name: str) -> Any:
    return next(job for job in cluster.json("job", "list", "--all")["jobs"] if job["disk"] == name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(10 if metafunc.config.getoption("--long") else 1))


def test_f7_blocks_move_while_everybody_is_killed(cluster: Cluster, name: str, load: NewLoad,
                                                  honest: Honest, seed: int) -> None:
    file = cluster.create(name, "32MiB", "n1,n3", *BLOCKS)
    checker, status = load(file, 32 * MIB), honest(cluster, name)
    time.sleep(1)
    dice = random.Random(seed)
    host = "h1"
    operator = subprocess.Popen(
        [binary("ukaictl"), "relocate", name, "--from", "n1", "--to", "n2", "--rate", "3M"],
        env=cluster.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: any(job["disk"] == name for job in cluster.json("job", "list")["jobs"]),
               "it has begun", 20)
    for victim in dice.sample(["source", "target", "holder", "operator"], 4):
        time.sleep(dice.uniform(0.2, 1))
        if victim == "operator":
            operator.kill()
        elif victim == "holder":
            old, host = host, "h2" if host == "h1" else "h1"
            cluster.kill(old)
            checker.ask(f"take-over {cluster.mount(host) / name}")
            cluster.start(old)
        else:
            node = "n1" if victim == "source" else "n2"
            cluster.kill(node)
            time.sleep(dice.uniform(0.2, 2))
            cluster.start(node)
    operator.wait()
    # Refused if it is done already: 3 MiB a second are ten seconds, and the dice may take longer.
    cluster.ukaictl("job", "rate", the_job(cluster, name)["job"], "unlimited", status=None)
    wait_until(lambda: bool(the_job(cluster, name)["state"] == "done"), "the job ends", 60)
    cluster.wait_healthy(name)
    assert {frozenset(nodes) for nodes in locations(cluster, name).values()} == {
        frozenset({"n2", "n3"})}
    status.passes()
    report = checker.ask("check")
    assert not report["violations"], report
    checker.end()
    replicas_are_equal(cluster, name)
    cluster.delete(name)
    space_is_accounted_for(cluster)


def test_f19_a_site_is_cut_off_with_the_host_and_one_replica(
        new_cluster: NewCluster, name: str, load: NewLoad, honest: Honest) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "2", "--netns")
    wan = Wan(cluster, ["zk", "n1", "h1"], ["n2", "h2"])
    try:
        wan.set(delay_s=0.002)
        wan.break_connections()
        cluster.create(name, "32MiB", "n1,n2", *BLOCKS)
        checker = load(cluster.mount("h2") / name, 32 * MIB)
        status = honest(cluster, name)
        time.sleep(1)
        wan.outage(True)
        time.sleep(3)  # the I/O deadline and the end of what was under way
        report = checker.during(4)
        assert not report["writes"], "nobody recorded that n1 is missing"
        checker.ask(f"take-over {cluster.mount('h1') / name}")
        report = checker.during(3)
        assert report["writes"] and not report["violations"], report
        wan.outage(False)
        wan.break_connections()
        wait_until(lambda: bool(checker.ask("stale")["stale"] == "EIO"), "the old handle is dead",
                   20)
        cluster.wait_healthy(name)
        status.passes()
        report = checker.ask("check")
        assert not report["violations"], report
        checker.end()
        replicas_are_equal(cluster, name)
        for daemon in ("n2", "h2"):
            cluster.kill(daemon)  # they could not say goodbye without the link
    finally:
        wan.end()
