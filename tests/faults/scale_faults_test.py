# SPDX-License-Identifier: BSD-2-Clause
"""Many disks, many nodes, one large disk in pieces. F31 of the project's list of faults.

The metadata are made by hand, as a dump, and loaded; only three of the nodes really run.
"""
from __future__ import annotations

import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

from cluster import Cluster, wait_until
from files import MIB, pattern, read_at, write_at
from load import SLACK
from recovery_test import lose_zookeeper, start_all

NewCluster = Callable[..., Cluster]
TIB = 1 << 40
BLOCK = 4 * MIB
SEGMENT_BLOCKS = 16384
ATTACH_S = 2.0
ZNODE_BYTES = 512 << 10
RUNNING = ("n1", "n2", "n3")
FIRST_SMALL = 1000


@dataclass(frozen=True)
class Scale:
    disks: int
    nodes: int
    large_tib: int
    open_disks: int  # of those whose member fails


SHORT = Scale(disks=50, nodes=200, large_tib=8, open_disks=10)
LONG = Scale(disks=10_000, nodes=1_000, large_tib=64, open_disks=30)


def node_record(like: dict[str, Any], number: int) -> dict[str, Any]:
    node = f"far-{number:04}"
    address = f"127.1.{number >> 8}.{number & 255}"
    record = {**like["record"], "id": node, "data_address": f"{address}:1",
              "control_address": f"{address}:2", "store_id": f"{number:032x}"}
    return {"path": f"/ukai/nodes/{node}", "kind": "node", "record": record}


def disk_records(name: str, number: int, size: int, nodes: list[str],
                 segments: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    disk = f"{number:032x}"
    path = f"/ukai/disks/{disk}"
    record = {"id": disk, "name": name, "size": str(size), "block_size": BLOCK, "generation": "1",
              "members": [{"node": node} for node in nodes], "created_unix_s": "1"}
    return [{"path": path, "kind": "disk", "record": record},
            {"path": f"{path}/map"},
            *({"path": f"{path}/map/{index:08x}", "kind": "map", "record": segment}
              for index, segment in enumerate(segments)),
            {"path": f"/ukai/names/{name}", "kind": "name", "record": {"disk_id": disk}}]


def whole_segment(nodes: list[str], blocks: int) -> dict[str, Any]:
    return {"sets": [{"nodes": nodes, "status": [0] * len(nodes)}],
            "runs": [{"blocks": blocks, "cycle": 1}]}


def pieces(segments: int) -> Iterator[dict[str, Any]]:
    """Runs of 1 to 31 blocks, each on another pair than the one before; in the first segment every
    block is a run of its own."""
    dice = random.Random(31)
    pairs = [["n1", "n2"], ["n2", "n3"], ["n3", "n1"]]
    for index in range(segments):
        runs, left, last = [], SEGMENT_BLOCKS, 0
        while left:
            blocks = min(left, dice.randrange(1, 32)) if index else 1
            last = (last + dice.randrange(1, 3)) % 3
            runs.append({"blocks": blocks, "first_set": last, "cycle": 1})
            left -= blocks
        yield {"segment": index, "sets": [{"nodes": pair, "status": [0, 0]} for pair in pairs],
               "runs": runs}


def made_dump(real: dict[str, Any], scale: Scale) -> dict[str, Any]:
    like = next(record for record in real["records"] if record.get("kind") == "node")
    records = [record for record in real["records"] if record.get("kind") in ("cluster", "node")
               or "kind" not in record and record["path"].count("/") <= 2]
    records += [node_record(like, number) for number in range(scale.nodes)]
    for number in range(scale.disks):
        pair = ["n1", "n2"] if number % 2 else ["n2", "n3"]
        blocks = 4
        records += disk_records(f"small-{number:05}", FIRST_SMALL + number, blocks * BLOCK, pair,
                                iter([whole_segment(pair, blocks)]))
    size = scale.large_tib * TIB
    segments = size // BLOCK // SEGMENT_BLOCKS
    records += disk_records("large", 7, size, list(RUNNING), pieces(segments))
    return {**real, "records": records}


def stats(cluster: Cluster, field: str, paths: list[str]) -> list[int]:
    """What ZooKeeper says about each of the disks' znodes."""
    chroot = "/" + cluster.metadata.split("/", 1)[1] if "/" in cluster.metadata else ""
    said = cluster.zookeeper_shell(*[f"stat {chroot}/ukai/disks/{path}" for path in paths])
    found = [int(line.split("=")[1]) for line in said.splitlines() if line.startswith(field)]
    assert len(found) == len(paths), said[-2000:]
    return found


def versions(cluster: Cluster, numbers: range) -> list[int]:
    """How often each disk's record has been written."""
    return stats(cluster, "dataVersion", [f"{FIRST_SMALL + number:032x}" for number in numbers])


def test_f31_many_disks_many_nodes_and_a_disk_in_pieces(new_cluster: NewCluster, long: bool,
                                                        tmp_path: Path) -> None:
    scale = LONG if long else SHORT
    cluster = new_cluster("--nodes", "3", "--hosts", "1")
    dump = tmp_path / "dump.json"
    cluster.ctl("metadata", "dump", str(dump))
    dump.write_text(json.dumps(made_dump(json.loads(dump.read_text()), scale)))
    lose_zookeeper(cluster)
    cluster.ukaictl("metadata", "load", str(dump), seconds=600)
    start_all(cluster)
    wait_until(lambda: len(cluster.json("disk", "list")["disks"]) == scale.disks + 1,
               "all are there")
    data = pattern(MIB)
    # 1. What a node's failure costs ZooKeeper. All n2 has of the disks is in sync before.
    names = [f"small-{number:05}" for number in range(scale.open_disks)]
    files = [os.open(cluster.mount() / name, os.O_RDWR) for name in names]
    for name in names:
        cluster.wait_healthy(name)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda file: os.pwrite(file, data[:4096], 0), files))
        before = versions(cluster, range(scale.open_disks))
        cluster.kill("n2")
        list(pool.map(lambda file: os.pwrite(file, data[:4096], 8192), files))
    wait_until(lambda: all(cluster.member(name, "n2")["state"] == "missing" for name in names),
               "n2 is missing in all", 60)
    now = versions(cluster, range(scale.open_disks))
    writes = [after - was for was, after in zip(before, now)]
    assert max(writes) <= 1, writes
    cluster.start("n2")
    for name, file in zip(names, files):
        cluster.wait_healthy(name)
        os.close(file)
    # 2. A large disk in hundreds of thousands of pieces opens in no time.
    large = cluster.mount() / "large"
    begin = time.monotonic()
    fd = os.open(large, os.O_RDWR)
    attach_s = time.monotonic() - begin
    print(f"attached in {attach_s:.2f} s")
    assert attach_s < ATTACH_S * SLACK
    os.close(fd)
    last = (scale.large_tib - 1) * TIB
    write_at(large, last, data)
    assert read_at(large, last, MIB) == data
    # 3. No znode is large, not even that of a segment in which each block is a piece.
    bytes_of = stats(cluster, "dataLength", [f"{7:032x}/map/{index:08x}" for index in range(3)])
    print(f"map segments have {bytes_of} bytes")
    assert 0 < max(bytes_of) < ZNODE_BYTES
