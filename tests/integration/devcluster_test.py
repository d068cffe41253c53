# SPDX-License-Identifier: BSD-2-Clause
"""tools/devcluster keeps its contract."""
from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Callable

from cluster import DEVCLUSTER, Cluster, run, wait_until
from files import MIB, pattern, read_at, write_at

Make = Callable[..., Cluster]


def test_up_twice_starts_only_what_has_died(own: Cluster) -> None:
    before = own.daemons()
    own.kill("n1")
    assert own.daemons()["n1"]["state"] == "dead"
    own.devcluster("up")
    after = own.daemons()
    assert all(daemon["state"] == "running" for daemon in after.values())
    assert after["n2"]["pid"] == before["n2"]["pid"]
    assert after["n1"]["pid"] != before["n1"]["pid"]
    own.devcluster("up", "--nodes", "7", status=2)


def test_stop_and_cont(own: Cluster) -> None:
    own.devcluster("stop", "n1")
    assert own.daemons()["n1"]["state"] == "paused"
    own.devcluster("status", status=1)
    own.devcluster("cont", "n1")
    own.devcluster("status", status=0)


def test_every_name_must_exist(own: Cluster, tmp_path: Path) -> None:
    own.devcluster("kill", "n9", status=2)
    own.devcluster("power-cut", "zk", status=2)
    own.devcluster("cut", "n1", status=2)
    run([str(DEVCLUSTER), "status", "--dir", str(tmp_path)], 2)


def test_env_and_folders_are_as_promised(own: Cluster) -> None:
    env = own.environment()
    assert env["UKAI_MOUNT_h1"] == str(own.mount("h1"))
    assert re.fullmatch(r"[\d.]+:\d+", env["UKAI_METADATA"])
    for daemon in own.daemons().values():
        home = own.home(daemon["name"])
        assert (home / "pid").read_text().strip() == daemon["pid"]
        assert (home / "log").exists()


def test_a_power_cut_drops_what_was_not_flushed_and_makes_a_new_boot(own: Cluster) -> None:
    home = own.home("n1")
    boot = (home / "boot_id").read_text()
    write = "echo kept > kept; sync -f kept; echo lost > lost"
    run(["bash", "-c", write], cwd=home / "data")
    own.devcluster("power-cut", "n1")
    assert (home / "data" / "kept").exists()
    assert not (home / "data" / "lost").exists()
    assert (home / "boot_id").read_text() != boot
    assert own.daemons()["n1"]["state"] == "running"
    (home / "data" / "kept").unlink()


def test_down_leaves_nothing_but_the_data(new_cluster: Make, name: str) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "1")
    disk = cluster.create(name, "16MiB", "n1,n2")
    write_at(disk, 0, pattern(MIB))
    pids = [int(daemon["pid"]) for daemon in cluster.daemons().values()]
    cluster.devcluster("down")
    folder = str(cluster.folder)
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in pids)
    assert folder not in Path("/proc/self/mountinfo").read_text()
    assert folder not in run(["losetup", "--list"]).stdout
    cluster.devcluster("up")
    assert read_at(disk, 0, MIB) == pattern(MIB)


def test_a_crashed_run_is_cleaned_up(new_cluster: Make) -> None:
    cluster = new_cluster("--nodes", "1", "--hosts", "1", "--netns")
    for daemon in cluster.daemons().values():
        os.kill(int(daemon["pid"]), signal.SIGKILL)
    cluster.devcluster("up")
    cluster.devcluster("status")
    cluster.devcluster("down")
    assert not [line for line in run(["ip", "netns"]).stdout.splitlines()
                if str(cluster.folder) in line]
    cluster.devcluster("up")


def test_a_cut_node_becomes_missing_and_heals(new_cluster: Make, name: str) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "1", "--netns")
    disk = cluster.create(name, "32MiB", "n1,n2")
    write_at(disk, 0, pattern(MIB, 1))
    cluster.devcluster("cut", "n2")
    begin = time.monotonic()
    write_at(disk, 0, pattern(MIB, 2))
    assert time.monotonic() - begin < 6
    assert cluster.member(name, "n2")["state"] == "missing"
    cluster.devcluster("heal", "n2")
    cluster.wait_healthy(name)
    cluster.verify(name)
    assert read_at(disk, 0, MIB) == pattern(MIB, 2)


def test_a_cut_host_loses_its_lease(new_cluster: Make, name: str) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "2", "--netns")
    disk = cluster.create(name, "32MiB", "n1,n2")
    write_at(disk, 0, pattern(MIB, 1))
    fd = os.open(disk, os.O_RDWR)
    cluster.devcluster("cut", "h1")
    other = cluster.mount("h2") / name

    def opens() -> bool:
        try:
            os.close(os.open(other, os.O_RDWR))
            return True
        except OSError:
            return False

    wait_until(opens, "h2 takes the disk over", 30)
    write_at(other, 0, pattern(MIB, 2))
    cluster.devcluster("heal", "h1")
    try:
        os.pwrite(fd, b"stale" * 1000, 0)
    except OSError:
        pass  # what it must be told
    try:
        os.close(fd)
    except OSError:
        pass
    assert read_at(other, 0, MIB) == pattern(MIB, 2)
    cluster.verify(name)


def test_hosts_that_store_data_themselves(new_cluster: Make, name: str) -> None:
    cluster = new_cluster("--nodes", "1", "--hosts", "2", "--local")
    nodes = {node["id"] for node in cluster.json("node", "list")["nodes"]}
    assert nodes == {"n1", "h1", "h2"}
    disk = cluster.create(name, "64MiB", "h1,n1")
    data = pattern(40 * MIB)
    write_at(disk, 0, data)
    assert read_at(disk, 0, 40 * MIB) == data
    assert read_at(cluster.mount("h2") / name, 0, 40 * MIB) == data
    cluster.verify(name)
    cluster.devcluster("power-cut", "h1")
    assert read_at(disk, 0, 40 * MIB) == data
    cluster.wait_healthy(name)
    cluster.verify(name)


def test_an_ensemble_of_three_zookeepers(new_cluster: Make, name: str) -> None:
    cluster = new_cluster("--nodes", "1", "--hosts", "1", "--zookeepers", "3")
    ensemble = [key for key, daemon in cluster.daemons().items() if daemon["kind"] == "zk"]
    assert ensemble == ["zk1", "zk2", "zk3"]
    assert len(cluster.metadata.split(",")) == 3
    cluster.kill("zk1")
    disk = cluster.create(name, "16MiB", "n1")
    write_at(disk, 0, pattern(MIB))
    cluster.kill("zk2")
    cluster.start("zk1")  # two of three again, so it returns when they serve
    cluster.devcluster("stop", "zk3")
    cluster.devcluster("cont", "zk3")
    cluster.start("zk2")
    assert read_at(disk, 0, MIB) == pattern(MIB)
    cluster.delete(name)
    cluster.devcluster("up", "--zookeepers", "1", status=2)
