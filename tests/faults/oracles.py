# SPDX-License-Identifier: BSD-2-Clause
"""What must hold after (O3, O5) and during (O6) every fault."""
from __future__ import annotations

import json
import threading
from typing import Any, Iterable, Optional

from cluster import Cluster, wait_until
from files import content_sum, version_files

POLL_S = 0.7


def locations(cluster: Cluster, name: str) -> dict[int, list[str]]:
    """Block -> the nodes that have it, by the metadata."""
    found: dict[int, list[str]] = {}
    for run in cluster.json("disk", "map", name)["runs"]:
        for block in range(run["first"], run["last"] + 1):
            replicas = run["cycle"][(block - run["first"]) % len(run["cycle"])]
            found[block] = [replica["node"] for replica in replicas]
    return found


class History:
    """Of one disk, by its record: which version of a block each of its states sees."""

    def __init__(self, record: Any) -> None:
        self._branches = [(int(branch["first"]), int(branch["parent"]))
                          for branch in record.get("branches", ())]
        self.kept = [int(record["generation"]),
                     *(int(snapshot["generation"]) for snapshot in record.get("snapshots", ()))]

    def seen(self, versions: Iterable[int], at: int) -> Optional[int]:
        """The generation of the version whose content `at` has; None: zeros."""
        while True:
            first, parent = max((one for one in self._branches if one[0] <= at), default=(1, 0))
            found = max((version for version in versions if first <= version <= at), default=None)
            if found is not None or not parent:
                return found
            at = parent

    def needed(self, versions: Iterable[int]) -> set[Optional[int]]:
        return {self.seen(versions, at) for at in self.kept}


def histories(cluster: Cluster) -> dict[str, History]:
    """By disk id."""
    file = cluster.folder / "metadata.json"
    file.unlink(missing_ok=True)
    cluster.ctl("metadata", "dump", str(file))
    return {one["record"]["id"]: History(one["record"])
            for one in json.loads(file.read_text())["records"] if one.get("kind") == "disk"}


def replicas_are_equal(cluster: Cluster, name: str) -> None:
    """O3: `disk verify` says so, and so do the block files themselves: of what the disk and each of
    its snapshots see, whatever versions that is made of."""
    cluster.verify(name)
    disk = cluster.info(name)["id"]
    history, where = histories(cluster)[disk], locations(cluster, name)
    files = {node: version_files(cluster, node).get(disk, {})
             for node in cluster.info(name)["nodes"]}
    assert any(files.values()), "nothing was written"
    for node, blocks in files.items():
        for block in blocks:
            assert node in where[block], f"block {block} is on {node}"
    for block, nodes in where.items():
        for at in history.kept:
            sums = {}
            for node in nodes:
                versions = files[node].get(block, {})
                seen = history.seen(versions, at)
                sums[node] = content_sum(versions[seen]) if seen else ""
            assert len(set(sums.values())) == 1, (block, at, sums)


def space_is_accounted_for(cluster: Cluster) -> None:
    """O5: the nodes hold just the blocks that the metadata places there, of each only the versions
    that the disk or one of its snapshots sees, and no trash."""
    def strangers() -> list[str]:
        known = histories(cluster)
        placed: dict[str, dict[int, list[str]]] = {}
        for disk in cluster.json("disk", "list")["disks"]:
            placed[cluster.info(disk["name"])["id"]] = locations(cluster, disk["name"])
        found = []
        for store in cluster.folder.glob("*/data/store"):
            node = store.parent.parent.name
            for path in store.glob("disks/*"):
                if not any(node in nodes for nodes in placed.get(path.name, {}).values()):
                    found.append(str(path))
            for disk, blocks in version_files(cluster, node).items():
                for block, versions in blocks.items():
                    here = disk in known and node in placed.get(disk, {}).get(block, ())
                    needed = known[disk].needed(versions) if here else set()
                    found += [str(path) for at, path in versions.items() if at not in needed]
            found += [str(path) for path in store.glob("trash/*")]
        return found

    begun = strangers()
    wait_until(lambda: not strangers(), f"nodes hold only what is known; at first {begun[:20]}", 30)


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
