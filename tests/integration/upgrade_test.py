# SPDX-License-Identifier: BSD-2-Clause
"""What earlier releases left is read and goes on; what a later one left is refused."""
from __future__ import annotations

import json
import re
import shutil
import socket
import tarfile
from pathlib import Path
from typing import Callable

import pytest

from cluster import DEVCLUSTER, Cluster, binary, run, wait_until
from files import pattern, read_at, sha256, write_at

RELEASES = sorted(Path(__file__).resolve().parents[1].glob("upgrade/*/expected.json"))
NODES = ("n1", "n2", "n3")
KIB = 1 << 10
REFUSED = 8


def stores(cluster: Cluster, node: str) -> Path:
    return cluster.home(node) / "data" / "store"


def become(cluster: Cluster, release: Path) -> None:
    """Ends all daemons, and puts what the release left in the place of what there is."""
    for name in cluster.daemons():
        cluster.kill(name)
    for version in cluster.home("zk").glob("**/version-2"):
        shutil.rmtree(version)
    with tarfile.open(release / "nodes.tar.xz") as tar:
        for node in NODES:
            shutil.rmtree(stores(cluster, node))
        tar.extractall(release_folder := cluster.folder / "release")
    for node in NODES:
        shutil.move(release_folder / node, stores(cluster, node))
    cluster.start("zk")
    cluster.ctl("metadata", "load", str(release / "metadata.json"))
    for name in (*NODES, "h1"):
        cluster.start(name)


@pytest.mark.parametrize("expected", RELEASES,
                         ids=[release.parent.name for release in RELEASES])
def test_the_data_of_a_release_go_on(new_cluster: Callable[..., Cluster], expected: Path) -> None:
    cluster = new_cluster("--nodes", str(len(NODES)), "--hosts", "1", "--plain")
    become(cluster, expected.parent)
    files = json.loads(expected.read_text())["files"]
    disks = [name for name in files if "@" not in name]
    mount = cluster.mount()

    def check(changed: str = "") -> None:
        for name, file in files.items():
            if name != changed:
                assert (mount / name).stat().st_size == file["size"], name
                assert sha256(mount / name) == file["sha256"], name

    # 1. Every byte, also from the nodes that had missed some.
    check()
    for name in disks:
        cluster.wait_healthy(name)
        cluster.verify(name)
    assert cluster.info("plain")["meta"] == {"os": "debian"}
    # 2. Blocks move, those with several versions and those that a clone shares.
    cluster.ctl("relocate", "plain", "--from", "n1", "--to", "n3")
    cluster.ctl("relocate", "copy", "--from", "n2", "--to", "n3", "--blocks", "0-3")
    check()
    # 3. What is written stays apart from what is frozen, and can be frozen, too.
    data = pattern(100 * KIB)
    for name in disks:
        before = read_at(mount / name, 0, files[name]["size"])
        write_at(mount / name, 30 * KIB, data)
        now = before[:30 * KIB] + data + before[130 * KIB:]
        cluster.ctl("snapshot", "create", f"{name}@new")
        for file in (name, f"{name}@new"):
            assert read_at(mount / file, 0, len(now)) == now, file
        files[name]["sha256"] = sha256(mount / name)
    check()
    cluster.ctl("snapshot", "delete", "plain@s1")
    del files["plain@s1"]
    check()
    for name in disks:
        cluster.verify(name)


def refusal(cluster: Cluster, name: str) -> str:
    """The one line with which a daemon does not start."""
    done = run([str(DEVCLUSTER), "start", "--dir", str(cluster.folder), name], 1)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def ask(address: str, hello: bytes) -> bytes:
    """What a daemon's data port answers to a greeting."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(len(hello).to_bytes(4, "little") + hello)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_what_a_later_release_left_is_refused(new_cluster: Callable[..., Cluster],
                                              name: str) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "1", "--plain")
    disk = cluster.create(name, "1MiB", "n1,n2", "--block-size", "64KiB")
    other = cluster.create(name + "-other", "1MiB", "n1,n2", "--block-size", "64KiB")
    for file in (disk, other):
        write_at(file, 0, pattern(64 * KIB))
    # 1. The protocol between daemons.
    address = cluster.json("node", "info", "n1")["data_address"]
    answer = ask(address, b"UKH2node/n1")
    assert answer[4:7] == b"UKE" and b"protocol version 1 is spoken here, not '2'" in answer
    # 2. A node's folder; it is left as it is.
    cluster.kill("n1")
    identity = stores(cluster, "n1") / "ukai-store"
    good = identity.read_text()
    now = int(re.findall("^format ([0-9]+)$", good, re.M)[0])
    newer = good.replace(f"format {now}", f"format {now + 1}")
    identity.write_text(newer)
    assert f"format {now + 1} is newer than this program's {now}" in refusal(cluster, "n1")
    assert identity.read_text() == newer
    identity.write_text(good)
    cluster.start("n1")
    cluster.wait_healthy(name)
    # 3. One disk's folder on a node, and its log: that disk goes on without the node.
    disks = stores(cluster, "n2") / "disks"
    for what, old, new in (("session", b"format 1", b"format 2"),
                           ("disk", b"format 1", b"format 9"), ("dirty.log", b"UKDL\1", b"UKDL\2")):
        cluster.kill("n2")
        path = disks / cluster.info(name)["id"] / what
        kept = path.read_bytes()
        assert old in kept
        path.write_bytes(kept.replace(old, new, 1))
        cluster.start("n2")
        write_at(disk, 0, pattern(64 * KIB, 2))
        write_at(other, 0, pattern(64 * KIB, 2))
        cluster.wait_healthy(other.name)
        assert cluster.health(name) == "degraded"
        wait_until(lambda: "is newer than this program's" in cluster.ctl("errors"), what, 30)
        cluster.kill("n2")
        path.write_bytes(kept)
        cluster.start("n2")
        cluster.wait_healthy(name)
    # 4. One disk's record, then that of the whole cluster.
    wait_until(lambda: not cluster.info(name)["lease"], "the lease is given back", 30)
    disk_id = cluster.info(name)["id"]
    cluster.zookeeper_shell(f"set /ukai/disks/{disk_id} UKR2D")
    assert "has the envelope UKR2 of a newer UKAI" in cluster.ukaictl(
        "disk", "info", name, status=None).stderr
    with pytest.raises(OSError):
        read_at(disk, 0, 4 * KIB)
    assert read_at(other, 0, 64 * KIB) == pattern(64 * KIB, 2)
    cluster.zookeeper_shell("set /ukai/cluster UKR2C")
    for daemon in ("n1", "h1"):
        cluster.kill(daemon)
        assert "has the envelope UKR2 of a newer UKAI" in refusal(cluster, daemon)
    done = run([binary("ukaictl"), "status"], None, env=cluster.environment())
    assert done.returncode == REFUSED and "UKR2" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
