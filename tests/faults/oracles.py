# SPDX-License-Identifier: BSD-2-Clause
"""What must hold after (O3, O5) and during (O6) every fault."""
from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from cluster import Cluster, wait_until
from files import block_files

POLL_S = 0.7


def locations(cluster: Cluster, name: str) -> dict[int, list[str]]:
    """Block -> the nodes that have it, by the metadata."""
    found: dict[int, list[str]] = {}
    for run in cluster.json("disk", "map", name)["runs"]:
        for block in range(run["first"], run["last"] + 1):
            replicas = run["cycle"][(block - run["first"]) % len(run["cycle"])]
            found[block] = [replica["node"] for replica in replicas]
    return found


def replicas_are_equal(cluster: Cluster, name: str) -> None:
    """O3: `disk verify` says so, and so do the block files themselves."""
    cluster.verify(name)
    disk = cluster.info(name)["id"]
    by_block: dict[str, dict[str, str]] = {}
    for node in cluster.info(name)["nodes"]:
        for path, checksum in block_files(cluster, node).items():
            if path.startswith(disk):
                by_block.setdefault(path, {})[node] = checksum
    where = locations(cluster, name)
    assert by_block, "nothing was written"
    for path, checksums in by_block.items():
        block = int(Path(path).name.split(".")[0], 16)
        assert set(checksums) == set(where[block]), (path, checksums, where[block])
        assert len(set(checksums.values())) == 1, (path, checksums)


def space_is_accounted_for(cluster: Cluster) -> None:
    """O5: the nodes hold folders of just the disks that the metadata places there, no trash."""
    def strangers() -> list[str]:
        placed: dict[str, set[str]] = {}
        for disk in cluster.json("disk", "list")["disks"]:
            placed[cluster.info(disk["name"])["id"]] = {
                node for nodes in locations(cluster, disk["name"]).values() for node in nodes}
        found = []
        for store in cluster.folder.glob("*/data/store"):
            node = store.parent.parent.name
            found += [str(path) for path in store.glob("disks/*")
                      if node not in placed.get(path.name, ())]
            found += [str(path) for path in store.glob("trash/*")]
        return found

    wait_until(lambda: not strangers(), f"nodes hold only what is known; now {strangers()}", 30)


class HonestStatus:
    """O6: asks all the time; where `status` says healthy, `verify` must not find a difference."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._over = threading.Event()
        self.lies: list[Any] = []
        self.polls = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def passes(self) -> None:
        self.end()
        assert not self.lies, self.lies
        assert self.polls

    def _says_healthy(self) -> bool:
        shown = self._cluster.ukaictl("-o", "json", "status", status=None).stdout
        self.polls += 1
        return bool(shown) and bool(json.loads(shown)["healthy"])

    def _watch(self) -> None:
        while not self._over.wait(POLL_S):
            if not self._says_healthy():
                continue
            shown = self._cluster.ukaictl("-o", "json", "disk", "verify", self._name,
                                          status=None).stdout
            if shown and json.loads(shown)["differences"] and self._says_healthy():
                self.lies.append(json.loads(shown))
