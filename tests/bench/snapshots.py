#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What snapshots and clones cost: by size of the disk, under load, and for very many blocks.

    tests/bench/snapshots.py [--blocks 25600] [--rounds 10]

docs/performance.md has some results. Not a test: nothing is asserted.
"""
from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
# pylint: disable=wrong-import-position
from cluster import Cluster  # noqa: E402
from files import MIB, fio_command  # noqa: E402

BLOCK = 4 * MIB
PIECE = 4096


def touch_blocks(disk: Path, first: int, count: int) -> None:
    """4 KiB of each: its file is as large as another's, and sparse."""
    fd = os.open(disk, os.O_RDWR)
    for block in range(first, first + count):
        os.pwrite(fd, os.urandom(PIECE), block * BLOCK)
    os.fsync(fd)
    os.close(fd)


def snapshots(cluster: Cluster, name: str, rounds: int) -> str:
    """Takes and deletes them: how long the command takes, and how long changes were held."""
    took, held = [], []
    for number in range(rounds):
        begin = time.monotonic()
        done = cluster.json("snapshot", "create", f"{name}@s{number}")
        took.append(1000 * (time.monotonic() - begin))
        held.append(done["held_us"] / 1000)
    for number in range(rounds):
        cluster.ctl("snapshot", "delete", f"{name}@s{number}")
    return (f"command {statistics.median(took):.0f} ms (at most {max(took):.0f}), "
            f"held {statistics.median(held):.1f} ms (at most {max(held):.1f})")


def run(cluster: Cluster, blocks: int, rounds: int) -> None:
    for size in ("1GiB", "1TiB"):
        disk = cluster.create(f"size-{size}", size, "n1,n2")
        touch_blocks(disk, 0, 64)
        with disk.open("r+b"):
            print(f"snapshot of {size}, idle: {snapshots(cluster, disk.name, rounds)}", flush=True)
    disk = cluster.create("load", "1GiB", "n1,n2")
    load = subprocess.Popen(fio_command(disk, "rw=randrw", "bs=4k", "iodepth=16", "time_based",
                                        "runtime=600", "verify=0", "verify_fatal=0"),
                            stdout=subprocess.DEVNULL)
    time.sleep(2)
    print(f"snapshot under fio, depth 16: {snapshots(cluster, 'load', rounds)}", flush=True)
    load.terminate()
    load.wait()
    disk = cluster.create("large", f"{blocks * BLOCK}", "n1,n2")
    touch_blocks(disk, 0, blocks)
    begin = time.monotonic()
    cluster.ctl("snapshot", "create", "large@s")
    print(f"snapshot of {blocks} blocks: {time.monotonic() - begin:.2f} s", flush=True)
    for what in ("large@s", "large"):
        begin = time.monotonic()
        cluster.ctl("clone", what, f"clone-{what.replace('@', '-')}")
        print(f"clone of {what}, {blocks} blocks: {time.monotonic() - begin:.2f} s", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure snapshots and clones.")
    parser.add_argument("--blocks", type=int, default=25600, help="of 4 MiB: 25,600 are 100 GiB")
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ukai-bench-") as folder:
        cluster = Cluster(Path(folder), "--nodes", "2", "--hosts", "1")
        try:
            run(cluster, arguments.blocks, arguments.rounds)
        finally:
            cluster.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
