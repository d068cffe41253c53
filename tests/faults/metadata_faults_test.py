# SPDX-License-Identifier: BSD-2-Clause
"""The way to ZooKeeper breaks around each change. F21 of the project's list of faults."""
from __future__ import annotations

import random
import time
from collections import Counter
from typing import Callable, Iterator

import pytest

from cluster import Cluster, binary, run
from cutting_proxy import CuttingProxy
from files import MIB
from load import Load
from oracles import replicas_are_equal

NewCluster = Callable[..., Cluster]
NewLoad = Callable[..., Load]
ANSWERS_MAX = 200  # of one command; far more than any has


@pytest.fixture(name="proxy")
def _proxy(cluster: Cluster) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(cluster.metadata.split("/")[0])
    yield proxy
    proxy.end()


def events_of(cluster: Cluster, disk: str) -> Counter[str]:
    found = cluster.json("events", "--limit", "1000", "--disk", disk)["events"]
    return Counter(event["what"] for event in found)


def at_each_answer(cluster: Cluster, proxy: CuttingProxy, numbers: range,
                   command: Callable[[int], tuple[str, ...]]) -> list[int]:
    """Runs ukaictl with command(n), and ZooKeeper's answer number n lost on the way, for each n
    until no command has so many; returns which were lost."""
    environment = cluster.environment()
    servers = cluster.metadata.split("/")[0]
    environment["UKAI_METADATA"] = cluster.metadata.replace(servers, proxy.address)
    for number in numbers:
        proxy.restart(lambda answer, lost=number: answer == lost)  # type: ignore[misc]
        run([binary("ukaictl"), *command(number)], env=environment)
        if not proxy.cut:
            return list(numbers)[:numbers.index(number)]
    raise AssertionError("it never ended")


def test_f21_each_change_of_ukaictl_is_made_once(cluster: Cluster, proxy: CuttingProxy, name: str,
                                                 long: bool) -> None:
    numbers = range(1, ANSWERS_MAX, 1 if long else 3)

    def disk(number: int) -> str:
        return f"{name}-{number}"

    def there(number: int) -> str:
        if number not in lost:
            cluster.create(disk(number), "8MiB", "n1,n2")
            lost.append(number)
        return disk(number)

    lost = at_each_answer(cluster, proxy, numbers, lambda n: (
        "disk", "create", disk(n), "--size", "8MiB", "--location", "n1,n2"))
    assert len(lost) >= 3
    lost.append(numbers[len(lost)])  # which was made without a loss
    resized = at_each_answer(cluster, proxy, numbers,
                             lambda n: ("disk", "resize", there(n), "16MiB"))
    deleted = at_each_answer(cluster, proxy, numbers, lambda n: ("disk", "delete", there(n)))
    assert min(len(resized), len(deleted)) >= 3
    for number in lost:
        found = events_of(cluster, disk(number))
        assert found["disk_created"] == 1, (number, found)
        if number in resized:
            assert found["disk_resized"] == 1, (number, found)
        if number in deleted:
            assert found["disk_deleted"] == 1, (number, found)
    for left in cluster.ctl("ls").split():
        if left.startswith(name):
            cluster.delete(left)


def reroute(cluster: Cluster, host: str, proxy: CuttingProxy) -> None:
    """The host's way to ZooKeeper is the proxy from now on."""
    config = cluster.home(host) / "ukaid.toml"
    servers = cluster.metadata.split("/")[0]
    text = config.read_text()
    assert servers in text
    cluster.kill(host)
    config.write_text(text.replace(servers, proxy.address))
    cluster.start(host)


def test_f21_each_change_of_a_host_is_made_once(new_cluster: NewCluster, name: str, load: NewLoad,
                                                long: bool) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "1")
    proxy = CuttingProxy(cluster.metadata.split("/")[0])
    reroute(cluster, "h1", proxy)
    file = cluster.create(name, "32MiB", "n1,n2", "--block-size", "1MiB")
    checker = load(file, 32 * MIB)
    dice = random.Random(21)
    proxy.restart(lambda number: dice.random() < 0.1)
    outages = 6 if long else 2
    for turn in range(outages):
        node = ("n1", "n2")[turn % 2]
        cluster.kill(node)
        time.sleep(2)
        cluster.start(node)
        cluster.wait_healthy(name)
    found = events_of(cluster, name)
    assert found["member_missing"] == found["member_present"] == outages, found
    assert proxy.cut > 3, "it was cut at all"
    proxy.restart(lambda number: False)
    checker.passes()
    checker.end()
    replicas_are_equal(cluster, name)
    proxy.end()
