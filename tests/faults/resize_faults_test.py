# SPDX-License-Identifier: BSD-2-Clause
"""Disks shrink and grow while whoever has a part in it dies."""
from __future__ import annotations

import os
import random
import signal
import subprocess
import time

import pytest

from cluster import Cluster, binary, wait_until
from files import MIB, pattern, read_at, write_at
from oracles import locations, replicas_are_equal, space_is_accounted_for

SMALL, LARGE = 4, 16  # blocks, of 1 MiB
ROUNDS = {"ukaictl": 2, "h1": 1, "n2": 1}  # the death of a host takes longest
LONG_FACTOR = 10


class Resizer:
    """One disk, and what it must read as."""

    def __init__(self, cluster: Cluster, name: str, dice: random.Random) -> None:
        self.cluster = cluster
        self.name = name
        self.dice = dice
        self.file = cluster.create(name, f"{LARGE}MiB", "n1,n2", "--block-size", "1MiB")
        self.content = bytes(LARGE * MIB)
        self.outcomes: list[str] = []
        self._seed = 0
        begun = time.monotonic()
        self._ask(SMALL * MIB)
        self._took_s = time.monotonic() - begun  # what a change takes that nobody disturbs
        self._ask(LARGE * MIB)

    def write(self) -> None:
        """All of it anew, at h1, which has the lease then."""
        self._seed += 1
        self.content = pattern(len(self.content), self._seed)
        write_at(self.file, 0, self.content)

    def _begin(self, size: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [binary("ukaictl"), "disk", "resize", self.name, str(size), "--force"],
            env=self.cluster.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _with_size(self, size: int) -> bytes:
        return self.content[:size].ljust(size, b"\0")

    def _ask(self, size: int) -> None:
        """Handles that were closed a moment ago may be counted yet, and a lease that somebody had
        who died lasts as long as his session."""
        wait_until(lambda: self._begin(size).wait(120) == 0, f"{self.name} has {size} bytes", 60)

    def disturbed(self, size: int, victim: str) -> None:
        """Somebody dies at any moment of the change. The disk has the old size or the new one, and
        who asks again gets the new one."""
        before, wait_s = len(self.content), self.dice.uniform(0, 1.5 * self._took_s)
        asked = self._begin(size)
        time.sleep(wait_s)
        if victim == "ukaictl":
            asked.kill()
        else:
            os.kill(int((self.cluster.home(victim) / "pid").read_text()), signal.SIGKILL)
            self.cluster.kill(victim)  # it is gone when this returns
            self.cluster.start(victim)
        asked.wait(120)
        found = self.has_one_size({before, size})
        self.outcomes.append(f"{before // MIB} to {size // MIB}: {found // MIB}")
        self._ask(size)
        self.has_one_size({size})
        self.content = self._with_size(size)

    def has_one_size(self, sizes: set[int]) -> int:
        """Record, map, both mounts and content agree. What was asked for may yet be done while we
        look."""
        while True:
            size = int(self.cluster.info(self.name)["size_bytes"])
            assert size in sizes, size
            blocks = sorted(locations(self.cluster, self.name))
            files = [self.cluster.mount(host) / self.name for host in ("h1", "h2")]
            shown = [file.stat().st_size for file in files]
            read = [read_at(file, 0, LARGE * MIB) for file in files]
            if self.cluster.info(self.name)["size_bytes"] == size:
                break
        assert blocks == list(range(size // MIB))
        assert shown == [size, size]
        for one in read:
            assert one == self._with_size(size), difference(one, self._with_size(size))
        return size


def difference(found: bytes, wanted: bytes) -> str:
    """Fit for an eye."""
    blocks = [at // MIB for at in range(0, max(len(found), len(wanted)), MIB)
              if found[at:at + MIB] != wanted[at:at + MIB]]
    return f"{len(found)} bytes, not {len(wanted)}; blocks {blocks} differ"


@pytest.mark.parametrize("victim", list(ROUNDS))
def test_somebody_dies_in_the_middle_of_a_resize(cluster: Cluster, name: str, long: bool,
                                                 victim: str) -> None:
    """What is cut off never comes back, on no replica, whoever carries it out dies."""
    disk = Resizer(cluster, name, random.Random(os.environ.get("UKAI_SEED", victim)))
    for _ in range(ROUNDS[victim] * (LONG_FACTOR if long else 1)):
        disk.write()
        disk.disturbed(disk.dice.randrange(SMALL, LARGE) * MIB, victim)
        disk.disturbed(LARGE * MIB, victim)
        cluster.wait_healthy(name)
        replicas_are_equal(cluster, name)
    print(f"{victim} died: {disk.outcomes}")
    space_is_accounted_for(cluster)
    cluster.delete(name)
