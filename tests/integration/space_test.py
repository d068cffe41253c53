# SPDX-License-Identifier: BSD-2-Clause
"""What disks take: disk info, node info and the nodes' file systems agree; space comes back."""
from __future__ import annotations

import os
from pathlib import Path

from cluster import Cluster, run, wait_until
from files import MIB, loop_device, mounted, pattern, write_at

NODES = ("n1", "n2")
# Logs, folders, marks and trailers, and what ext4 needs for them.
OVERHEAD = 3 * MIB


def df(cluster: Cluster, node: str) -> int:
    """Bytes used on the node's file system."""
    found = os.statvfs(cluster.home(node) / "data")
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def counted(cluster: Cluster, node: str) -> int:
    return int(cluster.json("node", "info", node)["used_bytes"])


def space(cluster: Cluster, name: str) -> tuple[int, int, int]:
    """Used, exclusive and shared MiB of a disk, all nodes together."""
    info = cluster.info(name)
    return (round(info["used_bytes"] / MIB), round(info["exclusive_bytes"] / MIB),
            round(info["shared_bytes"] / MIB))


def wait_space(cluster: Cluster, name: str, used: int, exclusive: int, shared: int) -> None:
    wanted = (used, exclusive, shared)
    try:
        wait_until(lambda: space(cluster, name) == wanted, f"{name} takes {wanted} MiB", 30)
    except AssertionError as late:
        raise AssertionError(f"{late}: it takes {space(cluster, name)}") from late


def test_used_exclusive_and_shared_bytes(own: Cluster, name: str) -> None:
    empty = {node: df(own, node) for node in NODES}
    disk = own.create(name, "64MiB", "n1,n2")
    wait_space(own, name, 0, 0, 0)
    write_at(disk, 0, pattern(16 * MIB))
    wait_space(own, name, 32, 32, 0)
    # Snapshots belong to the disk: what they hold goes with it.
    own.ctl("snapshot", "create", f"{name}@s1")
    write_at(disk, 0, pattern(4 * MIB, 2))
    wait_space(own, name, 40, 40, 0)
    # A clone has hard links: nothing more is taken, and neither disk alone would free it.
    own.ctl("clone", f"{name}@s1", f"{name}-clone")
    wait_space(own, name, 40, 8, 32)
    wait_space(own, f"{name}-clone", 32, 0, 32)
    write_at(own.mount() / f"{name}-clone", 4 * MIB, pattern(4 * MIB, 3))
    wait_space(own, f"{name}-clone", 32, 8, 24)
    wait_space(own, name, 40, 16, 24)
    assert "exclusive" in own.ctl("disk", "info", name)
    for member in own.info(name)["members"]:
        assert round(member["used_bytes"] / MIB) == 20, member

    # What is shared is counted once: df has as much.
    for node in NODES:
        def agrees() -> bool:
            return abs(df(own, node) - empty[node] - counted(own, node)) < OVERHEAD
        wait_until(agrees, f"{node}: df and node info agree", 30)
        assert abs(counted(own, node) - 24 * MIB) < OVERHEAD

    own.ctl("snapshot", "delete", f"{name}@s1")
    own.delete(name)
    wait_space(own, f"{name}-clone", 32, 32, 0)
    own.delete(f"{name}-clone")
    for node in NODES:
        wait_until(lambda: df(own, node) - empty[node] < OVERHEAD and counted(own, node) < MIB,
                   f"{node} has its space again", 60)


def test_fstrim_gives_space_back_on_all_replicas(own: Cluster, name: str, tmp_path: Path) -> None:
    """But for what a snapshot holds."""
    disk = own.create(name, "256MiB", "n1,n2")
    with loop_device(disk) as device:
        run(["mkfs.ext4", "-q", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", device])
        with mounted(device, tmp_path / "mnt") as folder:
            (folder / "kept").write_bytes(pattern(24 * MIB, 1))
            os.sync()
            own.ctl("snapshot", "create", f"{name}@s1")
            (folder / "free").write_bytes(pattern(48 * MIB, 2))
            os.sync()
            full = {node: df(own, node) for node in NODES}
            (folder / "free").unlink()
            (folder / "kept").unlink()
            os.sync()
            run(["fstrim", str(folder)])
            for node in NODES:
                wait_until(lambda: full[node] - df(own, node) > 40 * MIB,
                           f"{node} has what no snapshot holds", 60)
                assert full[node] - df(own, node) < 60 * MIB
    trimmed = {node: df(own, node) for node in NODES}
    own.ctl("snapshot", "delete", f"{name}@s1")
    for node in NODES:
        wait_until(lambda: trimmed[node] - df(own, node) > 20 * MIB,
                   f"{node} has what the snapshot held", 60)
    own.verify(name)
    own.delete(name)
