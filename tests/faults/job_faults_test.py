# SPDX-License-Identifier: BSD-2-Clause
"""Jobs and what they must not do, whoever dies. F9, F22 and F23 of the project's list of faults."""
from __future__ import annotations

import os
import time
from typing import Callable

import pytest

from cluster import Cluster, wait_until
from files import MIB, pattern, read_at, write_at
from jobs_test import REFUSED, detached, job, state
from moves_test import placement
from wan import Wan
from wan_test import ROUND_TRIP_MS, two_sites

__all__ = ["two_sites"]  # a fixture

NewCluster = Callable[..., Cluster]


def copied(cluster: Cluster, name: str) -> int:
    return int(cluster.json("disk", "stats", name)["counters"]["healed_bytes"])


def test_f9_the_last_replica_stays(new_cluster: NewCluster, name: str) -> None:
    """Whoever asks, and whatever goes on meanwhile."""
    cluster = new_cluster("--nodes", "3", "--hosts", "1")
    disk = cluster.create(name, "64MiB", "n1,n2")
    data = pattern(64 * MIB)
    write_at(disk, 0, data)
    number = detached(cluster, "replicate", name, "--to", "n3", "--rate", "8M")
    wait_until(lambda: bool(job(cluster, number)["bytes_moved"] > 0), "it copies", 20)
    cluster.ctl("location", "remove", name, "n2")
    cluster.ukaictl("location", "remove", name, "n1", status=REFUSED)
    cluster.ukaictl("location", "remove", name, "n1,n3", status=REFUSED)
    cluster.kill("n1")
    cluster.ukaictl("location", "remove", name, "n1", status=REFUSED)
    cluster.start("n1")
    cluster.ctl("job", "rate", number, "unlimited")
    cluster.ctl("job", "wait", number)
    cluster.kill("n3")
    wait_until(lambda: cluster.health(name) != "healthy", "n3 is missed", 20)
    write_at(disk, 0, data[:8 * MIB])
    cluster.ukaictl("location", "remove", name, "n1", status=REFUSED)
    assert cluster.ukaictl("node", "drain", "n1", "--to", "n3", status=REFUSED).stderr
    cluster.start("n3")
    wait_until(lambda: cluster.health(name) == "healthy", "n3 is healed", 30)
    cluster.ctl("location", "remove", name, "n1")
    cluster.ctl("location", "remove", name, "n1")  # again
    assert placement(cluster, name) == {"0-15": "n3:in-sync"}
    assert read_at(disk, 0, 64 * MIB) == data


def test_f22_a_job_outlives_everybody(new_cluster: NewCluster, name: str) -> None:
    """Its target, its source and its host are killed, and it goes on where it was."""
    cluster = new_cluster("--nodes", "3", "--hosts", "2")
    # Small blocks and a low rate: a machine that takes its time to start daemons is not overtaken
    # by the job, which would take a minute.
    disk = cluster.create(name, "64MiB", "n1,n3", "--block-size", "256KiB")
    data = pattern(64 * MIB)
    write_at(disk, 0, data)
    number = detached(cluster, "relocate", name, "--from", "n1", "--to", "n2", "--rate", "1M")
    for victim in ("n2", "n1", "h1", "zk"):
        done = job(cluster, number)["blocks_done"]
        wait_until(lambda: bool(job(cluster, number)["blocks_done"] > done), "it goes on", 60)
        cluster.kill(victim)
        time.sleep(0.5)
        cluster.start(victim)
        assert job(cluster, number)["blocks_done"] >= done
    cluster.ctl("job", "rate", number, "unlimited")
    cluster.ctl("--timeout", "60", "job", "wait", number)
    assert placement(cluster, name) == {"0-255": "n2:in-sync n3:in-sync"}
    for host in ("h1", "h2"):
        assert read_at(cluster.mount(host) / name, 0, 64 * MIB) == data
    cluster.verify(name)


def test_f22_a_copy_over_a_link_that_breaks_every_five_seconds(sites: tuple[Cluster, Wan],
                                                               name: str) -> None:
    cluster, wan = sites
    disk = cluster.create(name, "128MiB", "n1")
    for part in range(2):
        write_at(disk, part * 64 * MIB, pattern(64 * MIB, part))
    wan.set(delay_s=ROUND_TRIP_MS / 2000, bytes_per_s=12e6)
    number = detached(cluster, "replicate", name, "--to", "n2")
    done, broken, since = 0, 0, time.monotonic()
    while (now := job(cluster, number))["state"] in ("queued", "running"):
        assert now["blocks_done"] >= done
        done = now["blocks_done"]
        if time.monotonic() - since > 5:
            wan.break_connections()
            broken, since = broken + 1, time.monotonic()
        assert broken < 12, "it does not come to its end"
        time.sleep(0.3)
    assert now["state"] == "done", now
    assert broken >= 1
    assert placement(cluster, name) == {"0-31": "n1:in-sync n2:in-sync"}
    cluster.verify(name)


@pytest.mark.alone
def test_f23_a_job_is_slowed_hurried_and_cancelled(cluster: Cluster, name: str) -> None:
    """The rate is kept within 10 %, and changes while it runs."""
    # Small blocks: a block is counted when all of it is there.
    disk = cluster.create(name, "128MiB", "n1", "--block-size", "256KiB")
    for part in range(2):
        write_at(disk, part * 64 * MIB, pattern(64 * MIB, part))
    holder = os.open(disk, os.O_RDWR)  # the counters are those of one lease
    number = detached(cluster, "replicate", name, "--to", "n2", "--rate", "2M")
    assert detached(cluster, "replicate", name, "--to", "n2") == number  # joined
    wait_until(lambda: copied(cluster, name) > 0, "it copies", 20)
    for rate in (4 * MIB, 8 * MIB):  # what a busy machine can do
        cluster.ctl("job", "rate", number, str(rate))
        time.sleep(2)
        begin, before = time.monotonic(), copied(cluster, name)
        time.sleep(4)
        moved = copied(cluster, name) - before
        measured = moved / (time.monotonic() - begin)
        assert 0.9 * rate < measured < 1.1 * rate, (rate, measured)
    cluster.ctl("job", "cancel", number)
    wait_until(lambda: state(cluster, number) == "cancelled", "it ends", 20)
    statuses = placement(cluster, name)
    assert not any("out-of-sync" in at or "syncing" in at for at in statuses.values()), statuses
    assert cluster.ukaictl("job", "wait", number, status=1).stderr.count("\n") == 1
    assert cluster.health(name) == "healthy"
    os.close(holder)
    cluster.delete(name)
