# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots every second under load, cloned and deleted in any order, while everybody dies. F25."""
from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import Callable, Iterator

from cluster import Cluster, binary, wait_until
from files import MIB
from load import Load
from oracles import replicas_are_equal, space_is_accounted_for

NewLoad = Callable[..., Load]
SIZE = 32 * MIB
DONE_BEFORE = 4
SNAPSHOTS_MAX, CLONES_MAX = 5, 2
SHORT_ROUNDS, LONG_ROUNDS = 6, 60
TROUBLES = ("node", "host", "zookeeper")


class Operator:
    """Freezes, clones and deletes. Each state is known to the checker by its snapshot's name."""

    def __init__(self, cluster: Cluster, disk: str, checker: Load, dice: random.Random) -> None:
        self.cluster = cluster
        self.disk = disk
        self.checker = checker
        self.dice = dice
        self.snapshots: list[str] = []
        self.clones: dict[str, str] = {}  # name -> the snapshot that it is of
        self.host = "h1"
        self._number = 0

    def ctl(self, *arguments: str) -> None:
        """As an operator does when he is told that somebody cannot be reached: once more."""
        wait_until(lambda: self.cluster.ukaictl(*arguments, status=None).returncode
                   in (0, DONE_BEFORE), " ".join(arguments), 60)

    def _next(self) -> str:
        self._number += 1
        return f"s{self._number}"

    def take(self) -> None:
        name = self._next()
        self.checker.ask(f"freeze {name}")
        self.ctl("snapshot", "create", f"{self.disk}@{name}")
        self.checker.ask(f"froze {name}")
        self.snapshots.append(name)

    def take_as_the_host_dies(self) -> None:
        """It has the snapshot or it has not: asked again on the other host, it has."""
        name = self._next()
        old, self.host = self.host, "h2" if self.host == "h1" else "h1"
        self.checker.ask(f"freeze {name}")
        asking = subprocess.Popen(
            [binary("ukaictl"), "snapshot", "create", f"{self.disk}@{name}"],
            env=self.cluster.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(self.dice.uniform(0.0, 0.15))
        self.cluster.kill(old)
        self.checker.ask(f"take-over {self.cluster.mount(self.host) / self.disk}")
        asking.wait(120)
        self.ctl("snapshot", "create", f"{self.disk}@{name}")
        self.checker.ask(f"froze {name}")
        self.snapshots.append(name)
        self.cluster.start(old)

    def clone(self) -> None:
        of = self.dice.choice(self.snapshots)
        name = f"{self.disk}-{self._next()}"
        self.ctl("clone", f"{self.disk}@{of}", name)
        self.clones[name] = of

    def drop(self) -> None:
        name = self.dice.choice(self.snapshots)
        self.compare(name, f"{self.disk}@{name}")
        self.snapshots.remove(name)
        self.ctl("snapshot", "delete", f"{self.disk}@{name}", "--if-exists")

    def drop_clone(self) -> None:
        name = self.dice.choice(list(self.clones))
        self.compare(self.clones.pop(name), name)
        self.ctl("disk", "delete", name, "--if-exists")

    def compare(self, state: str, file: str) -> None:
        host = self.dice.choice(["h1", "h2"])
        self.checker.ask(f"compare {state} {self.cluster.mount(host) / file}")

    def act(self) -> None:
        """At random, so that there are never many."""
        if len(self.snapshots) > self.dice.randrange(SNAPSHOTS_MAX):
            self.drop()
        if self.clones and len(self.clones) > self.dice.randrange(CLONES_MAX + 1):
            self.drop_clone()
        if self.snapshots and self.dice.random() < 0.5:
            self.clone()

    def everything_is_as_it_was(self) -> None:
        for name in self.snapshots:
            self.compare(name, f"{self.disk}@{name}")
        for name, of in self.clones.items():
            self.compare(of, name)


@contextmanager
def trouble(cluster: Cluster, name: str, victim: str, seconds: float) -> Iterator[None]:
    """Dead for so long, while the work goes on; and well again afterwards."""
    cluster.kill(victim)
    back = threading.Timer(seconds, cluster.start, [victim])
    back.start()
    try:
        yield
    finally:
        back.join()
    cluster.wait_healthy(name)


def test_f25_snapshots_while_everybody_dies(cluster: Cluster, name: str, load: NewLoad,
                                            long: bool) -> None:
    file = cluster.create(name, "32MiB", "n1,n2", "--block-size", "1MiB")
    checker = load(file, SIZE, "--block-size", str(MIB))
    dice = random.Random(25)
    operator = Operator(cluster, name, checker, dice)
    for turn in range(LONG_ROUNDS if long else SHORT_ROUNDS):
        begin = time.monotonic()
        kind = TROUBLES[turn // 2 % len(TROUBLES)] if turn % 2 else ""
        if kind == "host":
            operator.take_as_the_host_dies()
        elif kind:
            victim = dice.choice(["n1", "n2"]) if kind == "node" else "zk"
            with trouble(cluster, name, victim, dice.uniform(0.2, 1.5)):
                operator.take()
                operator.act()
        else:
            operator.take()
            operator.act()
        time.sleep(max(0.0, begin + 1 - time.monotonic()))
    cluster.wait_healthy(name)
    operator.everything_is_as_it_was()
    report = checker.ask("check")
    assert report["writes"] and not report["violations"], report
    with (cluster.mount(operator.host) / name).open("r+b") as disk:
        os.fsync(disk.fileno())  # only then what nobody needs any more may go
    checker.end()
    for one in (name, *operator.clones):
        cluster.ctl("sync", one)  # a clone's replica on a node that was dead
        cluster.wait_healthy(one)
        replicas_are_equal(cluster, one)
    space_is_accounted_for(cluster)
    for one in (name, *operator.clones):
        for snapshot in operator.snapshots if one == name else ():
            cluster.ctl("snapshot", "delete", f"{name}@{snapshot}")
        cluster.delete(one)
    space_is_accounted_for(cluster)
