# SPDX-License-Identifier: BSD-2-Clause
"""Blocks move between nodes while a guest uses them."""
from __future__ import annotations

import subprocess
import sys
from typing import Callable

from cluster import Cluster, wait_until
from files import MIB, pattern, read_at, write_at

REFUSED, NOT_FOUND = 8, 3
BLOCK = 4 * MIB


def placement(cluster: Cluster, name: str) -> dict[str, str]:
    """Runs of blocks, as "first-last", with their nodes and statuses."""
    out = {}
    for run in cluster.json("disk", "map", name)["runs"]:
        sets = [" ".join(sorted(f"{at['node']}:{at['status']}" for at in block))
                for block in run["cycle"]]
        out[f"{run['first']}-{run['last']}"] = " | ".join(sets)
    return out


def block_files(cluster: Cluster, node: str) -> int:
    return sum(1 for file in cluster.home(node).glob("data/store/disks/*/*/*.1"))


def test_a_location_is_out_of_sync_until_it_is_synced(own: Cluster, name: str) -> None:
    disk = own.create(name, "32MiB", "n1")
    data = pattern(20 * MIB)
    write_at(disk, 0, data)
    own.ctl("location", "add", name, "n2", "--blocks", "2-5")
    in_sync, out = "n1:in-sync", "n1:in-sync n2:out-of-sync"
    assert placement(own, name) == {"0-1": in_sync, "2-5": out, "6-7": in_sync}
    assert own.health(name) == "degraded"
    own.ctl("location", "add", name, "n2", "--blocks", "2-5")  # again: nothing to do
    refused = own.ukaictl("location", "remove", name, "n1", status=REFUSED).stderr
    assert "block 0" in refused
    own.ctl("sync", name)
    both = "n1:in-sync n2:in-sync"
    assert placement(own, name) == {"0-1": in_sync, "2-5": both, "6-7": in_sync}
    assert own.health(name) == "healthy"
    own.verify(name)
    own.ctl("location", "remove", name, "n1", "--blocks", "3")
    assert placement(own, name)["3-3"] == "n2:in-sync"
    assert read_at(disk, 0, 20 * MIB) == data
    own.ctl("location", "remove", name, "n1", "--blocks", "3")  # again: nothing to do
    assert own.ukaictl("location", "add", name, "n9", status=NOT_FOUND).stderr
    own.delete(name)


# Writes a pattern over and over, and says how long the longest write took.
LOAD = """
import os, random, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
end, longest, count = time.monotonic() + float(sys.argv[2]), 0.0, 0
dice = random.Random(1)
model = {}
while time.monotonic() < end or count < 50:
    block = dice.randrange(8192)
    data = bytes([dice.randrange(256)]) * 4096
    begin = time.monotonic()
    os.pwrite(fd, data, block * 4096)
    longest = max(longest, time.monotonic() - begin)
    model[block] = data
    count += 1
for block, data in model.items():
    assert os.pread(fd, 4096, block * 4096) == data, block
os.fsync(fd)
print(f"{longest:.3f} {count}")
"""


def test_a_disk_moves_under_a_guest(own: Cluster, name: str) -> None:
    disk = own.create(name, "32MiB", "n1,n2")
    write_at(disk, 0, pattern(32 * MIB))
    with subprocess.Popen([sys.executable, "-c", LOAD, str(disk), "8"], stdout=subprocess.PIPE,
                          text=True) as load:
        assert load.stdout
        for source, target in (("n1", "n3"), ("n2", "n1"), ("n3", "n2"), ("n1", "n3")):
            def moved(source: str = source, target: str = target) -> bool:
                done = own.ukaictl("relocate", name, "--from", source, "--to", target, status=None)
                assert done.returncode in (0, 5), done.stderr  # busy: the last move's rest
                return done.returncode == 0
            wait_until(moved, "the node has deleted what it held", 20)
        longest, _ = load.stdout.readline().split()
        assert load.wait(60) == 0
    assert float(longest) < 3
    assert placement(own, name) == {"0-7": "n2:in-sync n3:in-sync"}
    own.verify(name)
    assert [member["node"] for member in own.info(name)["members"]] == ["n2", "n3"]
    wait_until(lambda: block_files(own, "n1") == 0, "n1 has deleted it", 20)
    own.delete(name)


def test_a_closed_disk_is_replicated_and_taken_off(new_cluster: Callable[..., Cluster],
                                                   name: str) -> None:
    cluster = new_cluster("--nodes", "3", "--hosts", "1")
    disk = cluster.create(name, "64MiB", "n1", "--stripe")
    data = pattern(40 * MIB)
    write_at(disk, 0, data)
    cluster.ctl("replicate", name, "--to", "n2,n3", "--rate", "200M")
    everywhere = "n1:in-sync n2:in-sync n3:in-sync"
    assert placement(cluster, name) == {"0-15": everywhere}
    cluster.ctl("location", "remove", name, "n1,n2")
    assert placement(cluster, name) == {"0-15": "n3:in-sync"}
    assert cluster.ukaictl("location", "remove", name, "n3", status=REFUSED).stderr
    for node in ("n1", "n2"):
        cluster.kill(node)
    assert read_at(disk, 0, 40 * MIB) == data
    assert read_at(disk, 40 * MIB, 24 * MIB) == bytes(24 * MIB)
    for node in ("n1", "n2"):
        cluster.start(node)
    wait_until(lambda: block_files(cluster, "n1") + block_files(cluster, "n2") == 0,
               "the rest is deleted", 30)
    whats = [event["what"] for event in cluster.json("events", "--disk", name)["events"]]
    assert "locations_added" in whats and "locations_removed" in whats
