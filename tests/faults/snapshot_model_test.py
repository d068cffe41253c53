# SPDX-License-Identifier: BSD-2-Clause
"""Random snapshots, clones, rollbacks, moves and writes agree with a model in memory, on nodes that
share what versions have in common (XFS) and on such that copy it (ext4)."""
from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Callable, Optional

import pytest

from cluster import Cluster, run, wait_until
from files import PUNCH_HOLE, ZERO_RANGE, fallocate, read_at, version_files
from oracles import locations, replicas_are_equal, space_is_accounted_for

NewCluster = Callable[..., Cluster]
KIB = 1 << 10
BLOCK = 128 * KIB
SIZE, SIZE_MAX = 16 * BLOCK, 24 * BLOCK
REQUEST_MAX = 3 * BLOCK
NODES = ("n1", "n2", "n3")
SHORT_SECONDS = 7.0
LONG_OPERATIONS = 100_000
DISKS_MAX, SNAPSHOTS_MAX = 4, 5
OPERATOR_SHARE = 0.04  # ukaictl takes as long as fifty requests of the guest
LONG_OPERATOR_SHARE = 0.01


class Disk:
    """What it and its snapshots must read as."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.data = bytearray(data)
        self.snapshots: dict[str, bytes] = {}
        self.fd: Optional[int] = None


class Model:
    """All disks of one run, and the dice."""

    def __init__(self, cluster: Cluster, name: str, seed: int, operator_share: float) -> None:
        self.cluster = cluster
        self.operator_share = operator_share
        self.dice = random.Random(seed)
        self.prefix = name
        self.names = 0
        self.done: dict[str, int] = {}
        cluster.create(self.next_name(), str(SIZE), "n1,n2", "--block-size", str(BLOCK))
        self.disks = [Disk(f"{name}-1", bytes(SIZE))]

    def next_name(self) -> str:
        self.names += 1
        return f"{self.prefix}-{self.names}"

    @property
    def operations(self) -> int:
        return sum(self.done.values())

    def step(self) -> None:
        disk = self.dice.choice(self.disks)
        work = self.request
        if self.dice.random() < self.operator_share:
            work = self.dice.choice([
                self.take, self.take, self.take, self.drop, self.drop, self.clone, self.clone_head,
                self.delete, self.grow, self.roll_back, self.relocate, self.look])
        work(disk)
        self.done[work.__name__] = self.done.get(work.__name__, 0) + 1

    # -- the guest

    def open(self, disk: Disk) -> int:
        if disk.fd is None:
            disk.fd = os.open(self.cluster.mount() / disk.name, os.O_RDWR)
        return disk.fd

    def close(self, disk: Disk) -> None:
        if disk.fd is not None:
            os.fsync(disk.fd)
            os.close(disk.fd)
            disk.fd = None

    def request(self, disk: Disk) -> None:
        fd, dice = self.open(disk), self.dice
        size = min(int(dice.paretovariate(0.25)), REQUEST_MAX)
        at = dice.randrange(len(disk.data) - size)
        if dice.random() < 0.2:  # whole blocks: their versions are not made of older ones
            at, size = at // BLOCK * BLOCK, BLOCK
        kind = dice.random()
        if kind < 0.5:
            new = dice.randbytes(size)
            assert os.pwrite(fd, new, at) == size
            disk.data[at:at + size] = new
        elif kind < 0.7:
            fallocate(fd, PUNCH_HOLE if kind < 0.65 else ZERO_RANGE, at, size)
            disk.data[at:at + size] = bytes(size)
        elif kind < 0.98:
            assert os.pread(fd, size, at) == disk.data[at:at + size], (disk.name, at, size)
        else:
            os.fsync(fd)

    # -- the operator

    def take(self, disk: Disk) -> None:
        if len(disk.snapshots) >= SNAPSHOTS_MAX:
            return self.drop(disk)
        name = f"s{self.operations}"
        self.cluster.ctl("snapshot", "create", f"{disk.name}@{name}")
        disk.snapshots[name] = bytes(disk.data)

    def drop(self, disk: Disk) -> None:
        if disk.snapshots:
            name = self.dice.choice(list(disk.snapshots))
            self.cluster.ctl("snapshot", "delete", f"{disk.name}@{name}")
            del disk.snapshots[name]

    def _clone(self, disk: Disk, snapshot: str, data: bytes) -> None:
        if len(self.disks) >= DISKS_MAX:
            return self.delete(disk)
        new = self.next_name()
        self.cluster.ctl("clone", f"{disk.name}@{snapshot}" if snapshot else disk.name, new)
        self.disks.append(Disk(new, data))

    def clone(self, disk: Disk) -> None:
        if disk.snapshots:
            name = self.dice.choice(list(disk.snapshots))
            self._clone(disk, name, disk.snapshots[name])

    def clone_head(self, disk: Disk) -> None:
        self._clone(disk, "", bytes(disk.data))

    def delete(self, disk: Disk) -> None:
        if len(self.disks) == 1:
            return
        while disk.snapshots:
            self.drop(disk)
        self.close(disk)
        self.cluster.delete(disk.name)
        self.disks.remove(disk)

    def grow(self, disk: Disk) -> None:
        size = self.dice.randrange(len(disk.data), SIZE_MAX + BLOCK, BLOCK)
        self.cluster.ctl("disk", "resize", disk.name, str(size))
        disk.data.extend(bytes(size - len(disk.data)))

    def roll_back(self, disk: Disk) -> None:
        """The size stays; what the snapshot did not have reads as zeros."""
        if not disk.snapshots:
            return
        self.close(disk)
        name = self.dice.choice(list(disk.snapshots))
        wait_until(lambda: self.cluster.ukaictl(
            "snapshot", "rollback", f"{disk.name}@{name}", status=None).returncode == 0,
            f"{disk.name} is rolled back", 30)
        disk.data[:] = disk.snapshots[name].ljust(len(disk.data), b"\0")

    def relocate(self, disk: Disk) -> None:
        """One replica, with all that snapshots need of it."""
        here = locations(self.cluster, disk.name)[0]
        there = next(node for node in NODES if node not in here)
        self.cluster.ctl("relocate", disk.name, "--from", self.dice.choice(here), "--to", there)

    def look(self, disk: Disk) -> None:
        """All of one state, on the other host."""
        self.compare(disk, self.dice.choice(["", *disk.snapshots]), "h2")

    def compare(self, disk: Disk, snapshot: str, host: str) -> None:
        file = self.cluster.mount(host) / (f"{disk.name}@{snapshot}" if snapshot else disk.name)
        wanted = disk.snapshots[snapshot] if snapshot else bytes(disk.data)
        found = read_at(file, 0, len(wanted) + 1)
        assert len(found) == len(wanted), (file, len(found), len(wanted))
        if found != wanted:
            wrong = next(at for at in range(len(wanted)) if found[at] != wanted[at])
            raise AssertionError(f"{file} differs from byte {wrong} on, after {self.done}")

    # -- the end of a sequence

    def settle(self) -> None:
        """Everything is compared, on both hosts, on the nodes, and in the space that it takes."""
        for disk in self.disks:
            self.close(disk)
            for snapshot in ("", *disk.snapshots):
                for host in ("h1", "h2"):
                    self.compare(disk, snapshot, host)
            if disk.data.strip(b"\0"):
                replicas_are_equal(self.cluster, disk.name)
        space_is_accounted_for(self.cluster)

    def finish(self) -> None:
        while len(self.disks) > 1:
            self.delete(self.disks[-1])
        self.disks.append(Disk("", b""))  # so that the last one may go as well
        self.delete(self.disks[0])
        space_is_accounted_for(self.cluster)


def shared_extents(path: Path) -> bool:
    return "shared" in run(["filefrag", "-v", str(path)]).stdout


def test_versions_of_a_block_share_what_they_can(new_cluster: NewCluster, name: str) -> None:
    """By reflink where the nodes' file system has it."""
    cluster = new_cluster("--nodes", "1", "--hosts", "1", "--store-fs", "xfs")
    file = cluster.create(name, str(BLOCK), "n1", "--block-size", str(BLOCK))
    with file.open("r+b", buffering=0) as disk:
        disk.write(os.urandom(BLOCK))
        os.fsync(disk.fileno())
        cluster.ctl("snapshot", "create", f"{name}@s1")
        os.pwrite(disk.fileno(), os.urandom(4096), 8192)
        os.fsync(disk.fileno())
    versions = version_files(cluster, "n1")[cluster.info(name)["id"]][0]
    assert sorted(versions) == [1, 2]
    assert all(shared_extents(path) for path in versions.values())


@pytest.mark.parametrize("file_system", ["ext4", "xfs"])
def test_f25_random_versions_agree_with_a_model(new_cluster: NewCluster, name: str, long: bool,
                                                file_system: str) -> None:
    cluster = new_cluster("--nodes", "3", "--hosts", "2", "--store-fs", file_system)
    model = Model(cluster, name, int(os.environ.get("UKAI_SEED", "1")),
                  LONG_OPERATOR_SHARE if long else OPERATOR_SHARE)
    end = time.monotonic() + SHORT_SECONDS
    while model.operations < LONG_OPERATIONS if long else time.monotonic() < end:
        model.step()
        if long and model.operations % 5000 == 0:
            model.settle()
            print(f"{model.operations} operations", flush=True)
    assert model.operations >= (LONG_OPERATIONS if long else 100), model.done
    model.settle()
    model.finish()
    print(f"{model.operations} operations: {model.done}")
