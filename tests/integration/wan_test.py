# SPDX-License-Identifier: BSD-2-Clause
"""Two sites, 10 ms apart: n1, n3, h1 and ZooKeeper at the one, n2, n4 and h2 at the other."""
from __future__ import annotations

import subprocess
import sys
import time
from typing import Callable, Iterator

import pytest

from cluster import Cluster, wait_until
from files import MIB, pattern, read_at, write_at
from jobs_test import detached
from moves_test import LOAD, placement
from wan import Wan

NEAR, FAR = ["zk", "n1", "n3", "h1"], ["n2", "n4", "h2"]
ROUND_TRIP_MS = 10.0


@pytest.fixture(name="sites")
def two_sites(new_cluster: Callable[..., Cluster]) -> Iterator[tuple[Cluster, Wan]]:
    cluster = new_cluster("--nodes", "4", "--hosts", "2", "--netns")
    wan = Wan(cluster, NEAR, FAR)
    wan.set(delay_s=ROUND_TRIP_MS / 2000)
    wan.break_connections()
    yield cluster, wan
    for daemon in FAR:
        cluster.kill(daemon)  # they could not say goodbye without the link
    wan.end()


def latency(cluster: Cluster, host: str, node: str) -> float:
    """Milliseconds; a large number when it is not known."""
    for link in cluster.json("topology")["links"]:
        if (link["host"], link["node"]) == (host, node) and link["latency_us"]:
            return float(link["latency_us"]) / 1000
    return 1e9


def test_a_disk_goes_to_the_other_site_and_its_reads_follow(sites: tuple[Cluster, Wan],
                                                            name: str) -> None:
    cluster, wan = sites
    disk = cluster.create(name, "64MiB", "n1,n3")
    data = pattern(32 * MIB) + b"compressible " * (32 * MIB // 13) + bytes(32 * MIB % 13)
    write_at(disk, 0, data)
    before = wan.carried
    cluster.ctl("replicate", name, "--to", "n2")
    assert wan.carried - before < 42 * MIB, "half of it is compressible"
    wait_until(lambda: 9 < latency(cluster, "h1", "n2") < 100, "the way there is measured", 20)
    wait_until(lambda: latency(cluster, "h1", "n1") < 9, "and the one to the neighbour", 30)
    wait_until(lambda: cluster.json("lease", "show", name)["holder"] is None, "it is closed", 20)
    far = cluster.mount("h2") / name
    with open(far, "rb", buffering=0) as opened:
        assert opened.read(4096) == data[:4096]
        before = wan.carried
        assert read_at(far, 0, 64 * MIB) == data
        assert wan.carried - before < 8 * MIB, "read at the other site"
    assert placement(cluster, name) == {"0-15": "n1:in-sync n2:in-sync n3:in-sync"}
    cluster.verify(name)


def test_a_guest_faster_than_the_link_does_not_keep_its_disk_from_moving(
        sites: tuple[Cluster, Wan], name: str) -> None:
    cluster, wan = sites
    disk = cluster.create(name, "64MiB", "n1")
    write_at(disk, 0, pattern(64 * MIB))
    wan.set(delay_s=ROUND_TRIP_MS / 2000, bytes_per_s=6e6)
    with subprocess.Popen([sys.executable, "-c", LOAD, str(disk), "12"], stdout=subprocess.PIPE,
                          text=True) as load:
        begin = time.monotonic()
        number = detached(cluster, "relocate", name, "--from", "n1", "--to", "n2")
        cluster.ctl("--timeout", "90", "job", "wait", number)
        took = time.monotonic() - begin
        assert load.stdout
        longest, count = load.stdout.readline().split()
        assert load.wait(60) == 0
    print(f"moved in {took:.1f} s, longest write {longest} s, {count} writes")
    assert float(longest) < 3
    assert placement(cluster, name) == {"0-15": "n2:in-sync"}
    cluster.verify(name)
