# SPDX-License-Identifier: BSD-2-Clause
"""The day when nodes, replicas or ZooKeeper are lost for good."""
from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

import pytest

from cluster import Cluster, wait_until
from files import MIB, pattern, read_at, write_at

BUSY, REFUSED = 5, 8


def down(cluster: Cluster, node: str) -> None:
    """Kills it and waits until its registration has ended."""
    cluster.kill(node)
    wait_until(lambda: not cluster.json("node", "info", node)["up"], f"{node} is down", 30)


def whats(cluster: Cluster, name: str) -> list[str]:
    return [event["what"] for event in cluster.json("events", "--disk", name)["events"]]


def test_a_node_that_is_gone_for_good_is_removed_under_a_guest(new_cluster: Callable[..., Cluster],
                                                               name: str) -> None:
    cluster = new_cluster("--nodes", "3", "--hosts", "1")
    disk = cluster.create(name, "64MiB", "n1,n2")
    only = cluster.create(name + "-only", "16MiB", "n2")
    data = pattern(24 * MIB)
    write_at(disk, 0, data)
    write_at(only, 0, data[:MIB])
    assert cluster.ukaictl("node", "remove", "n2", status=BUSY).stderr
    fd = os.open(disk, os.O_RDWR)
    down(cluster, "n2")
    os.pwrite(fd, data[:MIB], 30 * MIB)
    refused = cluster.ukaictl("node", "remove", "n2", status=REFUSED).stderr
    assert name in refused
    refused = cluster.ukaictl("node", "remove", "n2", "--lost", status=REFUSED).stderr
    assert f"{name}-only blocks 0-3" in refused
    removed = cluster.json("node", "remove", "n2", "--lost", "--accept-loss")
    lost = {entry["name"]: entry["lost_blocks"] for entry in removed["disks"]}
    assert lost == {name: [], name + "-only": [{"first": 0, "last": 3}]}
    # The guest's handle goes on, and what it wrote is there.
    os.pwrite(fd, data[:MIB], 40 * MIB)
    os.fsync(fd)
    os.close(fd)
    assert read_at(disk, 0, 24 * MIB) == data
    assert read_at(disk, 40 * MIB, MIB) == data[:MIB]
    assert cluster.health(name) == "healthy"
    assert cluster.health(name + "-only") == "unavailable"
    assert [node["id"] for node in cluster.json("node", "list")["nodes"]] == ["n1", "n3"]
    assert "node_removed" in whats(cluster, name)


def test_a_stale_replica_is_declared_the_truth(own: Cluster, name: str) -> None:
    disk = own.create(name, "64MiB", "n1,n2")
    old = pattern(8 * MIB, 1)
    write_at(disk, 0, old)
    own.wait_healthy(name)
    down(own, "n2")
    write_at(disk, 4 * MIB, pattern(8 * MIB, 2))
    own.devcluster("stop", "n1")
    own.start("n2")
    recover = ["disk", "recover", name, "--from", "n2"]
    wait_until(lambda: bool(own.json("node", "info", "n2")["up"]), "n2 is up", 30)
    wait_until(lambda: not own.json("node", "info", "n1")["up"], "n1 is down", 30)
    own.kill("n1")
    assert "--accept-loss" in own.ukaictl(*recover, status=REFUSED).stderr
    wait_until(lambda: own.ukaictl(*recover, "--accept-loss", status=None).returncode == 0,
               "the disk is recovered", 30)
    assert read_at(disk, 0, 8 * MIB) == old
    write_at(disk, 32 * MIB, pattern(MIB, 3))
    assert "disk_recovered" in whats(own, name)
    # The one that had more comes back: it is made equal, in what only it had as well.
    own.start("n1")
    own.wait_healthy(name)
    own.verify(name)
    assert read_at(disk, 0, 8 * MIB) == old
    assert read_at(disk, 8 * MIB, 4 * MIB) == bytes(4 * MIB)
    assert own.ukaictl(*recover, "--accept-loss", status=REFUSED).stderr
    own.delete(name)


def lose_zookeeper(cluster: Cluster) -> None:
    """All daemons end, and the new ZooKeeper is empty."""
    for daemon in cluster.daemons():
        cluster.kill(daemon)
    for version in cluster.home("zk").glob("**/version-2"):
        shutil.rmtree(version)
    cluster.start("zk")


def start_all(cluster: Cluster) -> None:
    """The nodes, then the hosts."""
    for daemon in sorted(cluster.daemons(), reverse=True):
        if daemon != "zk":
            cluster.start(daemon)


def released(cluster: Cluster, name: str) -> None:
    wait_until(lambda: not cluster.info(name)["lease"], "the lease is given back", 30)


def test_a_dump_brings_back_what_zookeeper_lost(new_cluster: Callable[..., Cluster], name: str,
                                                tmp_path: Path) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "1")
    disk = cluster.create(name, "64MiB", "n1,n2", "--meta", "os=debian")
    data = pattern(24 * MIB)
    write_at(disk, 0, data)
    released(cluster, name)
    dump = str(tmp_path / "dump.json")
    cluster.ctl("metadata", "dump", dump)
    assert cluster.ukaictl("metadata", "load", dump, status=REFUSED).stderr
    write_at(disk, 0, data[:MIB])  # more leases than the dump knows
    lose_zookeeper(cluster)
    cluster.ctl("metadata", "load", dump)
    assert cluster.info(name)["health"] != "healthy"
    start_all(cluster)
    assert read_at(disk, 0, 24 * MIB) == data
    write_at(disk, 32 * MIB, data[:MIB])
    cluster.wait_healthy(name)
    cluster.verify(name)
    assert cluster.info(name)["meta"] == {"os": "debian"}
    assert "metadata_loaded" in [event["what"] for event in cluster.json("events")["events"]]


def test_a_member_that_went_missing_after_the_dump_is_not_trusted(
        new_cluster: Callable[..., Cluster], name: str, tmp_path: Path) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "1")
    disk = cluster.create(name, "64MiB", "n1,n2")
    write_at(disk, 0, pattern(8 * MIB, 1))
    for other, seed in (("n1", 2), ("n2", 3)):
        cluster.wait_healthy(name)
        released(cluster, name)
        dump = str(tmp_path / f"{other}.json")
        cluster.ctl("metadata", "dump", dump)
        down(cluster, other)
        new = pattern(8 * MIB, seed)
        write_at(disk, 0, new)
        lose_zookeeper(cluster)
        cluster.ctl("metadata", "load", dump)
        assert all(member["state"] != "missing" for member in cluster.info(name)["members"])
        start_all(cluster)
        assert read_at(disk, 0, 8 * MIB) == new
        cluster.wait_healthy(name)
        cluster.verify(name)
        assert read_at(disk, 0, 8 * MIB) == new


def placement(cluster: Cluster, name: str) -> list[tuple[int, int, list[list[str]]]]:
    """The runs of a disk's map; which of equal replicas is named first does not count."""
    return [(run["first"], run["last"],
             [sorted(location["node"] for location in block) for block in run["cycle"]])
            for run in cluster.json("disk", "map", name)["runs"]]


def test_disks_are_found_again_on_the_nodes_alone(new_cluster: Callable[..., Cluster],
                                                  name: str) -> None:
    cluster = new_cluster("--nodes", "3", "--hosts", "1")
    plain = cluster.create(name + "-plain", "64MiB", "n1,n2")
    striped = cluster.create(name + "-striped", "64MiB", "n1,n2,n3", "--stripe", "--replicas", "2")
    data = pattern(30 * MIB)
    for disk in (plain, striped):
        write_at(disk, 0, data)
        cluster.wait_healthy(disk.name)
        released(cluster, disk.name)
    maps = {disk.name: placement(cluster, disk.name) for disk in (plain, striped)}
    identity = next(cluster.home("n1").glob("**/ukai-store")).read_text()
    cluster_id = next(line.split()[-1] for line in identity.splitlines() if "cluster_id" in line)
    lose_zookeeper(cluster)
    cluster.ctl("metadata", "rebuild", "--cluster", cluster_id)
    for node in ("n1", "n2"):
        cluster.start(node)
    shown = cluster.json("metadata", "rebuild")
    assert {disk["name"]: disk["silent"] for disk in shown["disks"]} == {
        plain.name: [], striped.name: ["n3"]}
    assert not cluster.json("disk", "list")["disks"]
    assert "n3" in cluster.ukaictl("metadata", "rebuild", "--apply", status=REFUSED).stderr
    start_all(cluster)
    assert cluster.json("metadata", "rebuild", "--apply")["applied"]
    for disk in (plain, striped):
        assert read_at(disk, 0, 30 * MIB) == data
        write_at(disk, 40 * MIB, data[:MIB])
        cluster.wait_healthy(disk.name)
        cluster.verify(disk.name)
        assert placement(cluster, disk.name) == maps[disk.name]
    assert not cluster.json("metadata", "rebuild")["disks"]


# Writes and flushes when told to, and says how it went. A process of its own: a test that held the
# file itself would hand it to every child, and their exits would wait for a stopped host.
WRITER = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for line in sys.stdin:
    try:
        os.pwrite(fd, line[0].encode() * 4096, 0)
        os.fsync(fd)
        print(0, flush=True)
    except OSError as error:
        print(error.errno, flush=True)
"""


@contextmanager
def writer_on(disk: Path) -> Iterator[Callable[[str], int]]:
    """Writes and syncs what it is told, by one open file; gives errno."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(disk)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin and writer.stdout

        def put(letter: str) -> int:
            assert writer.stdin and writer.stdout
            print(letter, file=writer.stdin, flush=True)
            return int(writer.stdout.readline())

        yield put
        writer.stdin.close()
        writer.wait(30)


def test_a_host_that_is_denied_does_not_take_its_lease_again(own: Cluster, name: str) -> None:
    """Its daemon and its guest live, and nobody else wants the disk."""
    disk = own.create(name, "16MiB", "n1,n2")
    own.ctl("disk", "hosts", name, "--allow", "h1", "--allow", "h2")
    with writer_on(disk) as put:
        assert put("a") == 0
        own.ctl("disk", "hosts", name, "--deny", "h1")
        assert put("b") == 0  # as long as it has the lease
        own.ctl("lease", "release", name, "--force")
        assert put("c") == errno.EIO
        assert own.json("lease", "show", name)["holder"] != "h1"
        own.ctl("disk", "hosts", name, "--allow", "h1")
        assert put("d") == errno.EIO  # that handle is dead for good
    assert read_at(disk, 0, 4096) == b"b" * 4096
    own.verify(name)
    own.delete(name)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_lease_is_forced_off_its_host(own: Cluster, name: str, how: str) -> None:
    disk = own.create(name, "16MiB", "n1,n2")
    with writer_on(disk) as put:
        assert put("a") == 0
        own.devcluster(how, "h1")
        assert own.json("lease", "show", name)["holder"] == "h1"
        assert "running" in own.ukaictl("lease", "release", name, status=REFUSED).stderr
        own.ctl("lease", "release", name, "--force")
        other = own.mount("h2") / name
        data = pattern(MIB)
        write_at(other, MIB, data)
        assert read_at(other, 0, 4096) == b"a" * 4096
        own.devcluster("cont" if how == "stop" else "start", "h1")
        assert put("b") == (errno.EIO if how == "stop" else errno.ENOTCONN)
    assert read_at(other, 0, 4096) == b"a" * 4096
    assert read_at(other, MIB, MIB) == data
    assert "lease_forced" in whats(own, name)
    own.verify(name)
    own.delete(name)
