#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a move costs: against a plain copy of the same files, and for the guest meanwhile.

    tests/bench/moves.py [--size 1024] [--rounds 3]

Prints ratios within each round and their medians; docs/performance.md has some. Not a test: nothing
is asserted. Wants an idle machine and the release build.
"""
from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
# pylint: disable=wrong-import-position
from cluster import Cluster  # noqa: E402
from files import MIB, pattern, write_at  # noqa: E402

PART = 64 * MIB


def fill(disk: Path, mib: int) -> None:
    for part in range(mib // 64):
        write_at(disk, part * PART, pattern(PART, part))


def copy_seconds(source: Path, target: Path) -> float:
    """cp of the block files, and sync: what any copy has to do."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["sync"], check=True)
    begin = time.monotonic()
    subprocess.run(["cp", "-r", "--reflink=never", str(source), str(target)], check=True)
    subprocess.run(["sync", "-f", str(target)], check=True)
    took = time.monotonic() - begin
    shutil.rmtree(target)
    return took


def copies(cluster: Cluster) -> Path:
    """Where they go, far apart on the disk as a node's folders of disks are."""
    folder = cluster.folder / "copies"
    folder.mkdir(exist_ok=True)
    subprocess.run(["chattr", "+T", str(folder)], check=False)
    return folder


def relocate(cluster: Cluster, name: str, source: str, target: str) -> tuple[float, Any]:
    begin = time.monotonic()
    done = cluster.ukaictl("-o", "json", "relocate", name, "--from", source, "--to", target,
                           seconds=600).stdout.splitlines()
    return time.monotonic() - begin, json.loads(done[-1])


def emptied(cluster: Cluster, node: str) -> None:
    while any(cluster.home(node).glob("data/store/disks/*/*/*.1")):
        time.sleep(0.2)


class Load:
    """4 KiB random reads and writes, depth 4, as many a second as told."""

    def __init__(self, disk: Path, seconds: int, rate: int) -> None:
        self.report = Path(tempfile.mkstemp(prefix="ukai-bench-")[1])
        self.child = subprocess.Popen(
            ["fio", "--name=load", f"--filename={disk}", "--rw=randrw", "--bs=4k", "--iodepth=4",
             "--ioengine=libaio", "--direct=1", f"--rate_iops={rate},{rate}", "--time_based",
             f"--runtime={seconds}", "--output-format=json", f"--output={self.report}"])

    def end(self) -> dict[str, float]:
        """Milliseconds."""
        self.child.wait()
        report = json.loads(self.report.read_text(encoding="utf-8"))["jobs"][0]
        self.report.unlink()
        write = report["write"]["clat_ns"]
        read = report["read"]["clat_ns"]
        return {"write_p99": write["percentile"]["99.000000"] / 1e6,
                "write_max": write["max"] / 1e6,
                "read_p99": read["percentile"]["99.000000"] / 1e6, "read_max": read["max"] / 1e6}


def one_round(cluster: Cluster, number: int, mib: int) -> dict[str, float]:
    """Each move goes where the disk has not been: ext4 is slow to create files beside ones that
    were deleted in the last minutes."""
    out: dict[str, float] = {}
    disk = cluster.create("moves", f"{mib}MiB", "n1")
    fill(disk, mib)
    os.sync()
    calm = Load(disk, 8, 400).end()
    load = Load(disk, 8 + mib // 128, 400)
    time.sleep(2)
    moved_in, _ = relocate(cluster, "moves", "n1", "n2")
    busy = load.end()
    out["relocate_under_load_s"] = moved_in
    plain = copy_seconds(cluster.home("n2") / "data" / "store" / "disks",
                         copies(cluster) / str(number))
    took, _ = relocate(cluster, "moves", "n2", "n3")
    out["relocate_mb_s"] = mib * MIB / took / 1e6
    out["copy_mb_s"] = mib * MIB / plain / 1e6
    out["relocate_to_copy"] = plain / took
    out["write_p99_calm_ms"] = calm["write_p99"]
    out["write_p99_moving_ms"] = busy["write_p99"]
    out["write_p99_ratio"] = busy["write_p99"] / calm["write_p99"]
    out["read_p99_ratio"] = busy["read_p99"] / calm["read_p99"]
    out["write_longest_ms"] = busy["write_max"]
    out["resync_share"] = resync_share(cluster, disk, mib)
    cluster.delete("moves")
    return out


def resync_share(cluster: Cluster, disk: Path, mib: int) -> float:
    """Of the bytes, after 1 % of the blocks have changed while a replica was away."""
    emptied(cluster, "n1")
    cluster.ctl("replicate", "moves", "--to", "n1")
    holder = os.open(disk, os.O_RDWR)  # the counters are those of one lease
    cluster.kill("n1")
    blocks = mib // 4
    changed = max(1, blocks // 100)
    for block in range(changed):
        write_at(disk, block * (blocks // changed) * 4 * MIB, pattern(4 * MIB, 1000 + block))
    before = moved_bytes(cluster)
    cluster.start("n1")
    cluster.ctl("sync", "moves")
    share = (moved_bytes(cluster) - before) / (mib * MIB)
    os.close(holder)
    return share


def read_us(disk: Path) -> float:
    """Mean of 4 KiB random reads, depth 1."""
    done = subprocess.run(
        ["fio", "--name=reads", f"--filename={disk}", "--rw=randread", "--bs=4k", "--iodepth=1",
         "--ioengine=libaio", "--direct=1", "--time_based", "--runtime=2", "--output-format=json"],
        check=True, capture_output=True, text=True).stdout
    report = json.loads(done[done.index("{"):])["jobs"][0]
    return float(report["read"]["clat_ns"]["mean"]) / 1e3


def reads_after_a_move(rounds: int) -> dict[str, float]:
    """Of a disk that came to the host's own node, and of one that was created there."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="ukai-bench-")),
                      "--nodes", "1", "--hosts", "1", "--local", "--plain")
    try:
        born = cluster.create("born", "256MiB", "h1")
        moved = cluster.create("moved", "256MiB", "n1")
        for disk in (born, moved):
            fill(disk, 256)
        before = read_us(moved)
        relocate(cluster, "moved", "n1", "h1")
        ratios = []
        for _ in range(rounds + 2):
            local = read_us(born)
            after = read_us(moved)
            ratios.append(after / local)
        return {"read_us_before_the_move": before, "read_us_after": after,
                "read_latency_to_born_there": statistics.median(ratios)}
    finally:
        end(cluster)


def end(cluster: Cluster) -> None:
    cluster.end()
    shutil.rmtree(cluster.folder)  # gigabytes


def moved_bytes(cluster: Cluster) -> int:
    return int(cluster.json("disk", "stats", "moves")["counters"]["healed_bytes"])


def main(arguments: Optional[list[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1024, help="of the disk, MiB")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    rounds = []
    # Plain folders on one file system: behind loop devices the kernel copies all once more.
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="ukai-bench-")),
                      "--nodes", "3", "--hosts", "1", "--plain")
    try:
        for number in range(options.rounds):
            rounds.append(one_round(cluster, number, options.size))
            print(f"round {number + 1}: " + json.dumps(rounds[-1], indent=1), flush=True)
    finally:
        end(cluster)
    print("medians:")
    for key in rounds[0]:
        print(f"  {key:26} {statistics.median(one[key] for one in rounds):.3f}")
    for key, value in reads_after_a_move(options.rounds).items():
        print(f"  {key:26} {value:.3f}")
    print(f"  on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
