#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""How cost grows: throughput and latency against one thing after the other.

    tests/bench/growth.py [--rounds 3] [--seconds 1] [--out build/bench] [PART …]

Parts: depth, replicas, disks, map, nodes. Each has its own cluster, and its points are measured in
turn, round by round. Prints tables of medians as the docs have them; writes growth-PART.csv and
growth-PART.svg. Nothing is asserted. Wants an idle machine and the release build.
"""
from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
# pylint: disable=wrong-import-position
from cluster import Cluster  # noqa: E402
from plot import beside, lines_svg  # noqa: E402
from references import awake  # noqa: E402

SIZE_MIB = 128
KINDS = {"read": "randread", "write": "randwrite"}
DEPTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
REPLICAS = (1, 2, 3, 4, 6, 8)
DISKS = (1, 2, 4, 8, 16)
NODES = (1, 2, 4, 8, 16, 32)
# A disk of 1,024 blocks of 64 KiB, half of which have one replica, half two: in so many runs.
MAP_BLOCKS, MAP_BLOCK_KIB = 1024, 64


@dataclass
class Point:
    """Something to measure: fio on these files, each at this depth, drawn at x."""
    x: float
    line: str
    files: list[Path]
    depth: int


@dataclass
class Part:
    nodes: int
    x_name: str
    points: Callable[[Cluster], list[Point]]


@dataclass
class Row:
    """Microseconds."""
    job: str
    x: float
    iops: float
    p50_us: float
    p99_us: float


def fill(file: Path) -> Path:
    subprocess.run(["fio", "--name=fill", f"--filename={file}", "--rw=write", "--bs=1m",
                    "--direct=1", f"--size={file.stat().st_size}", "--output=/dev/null"],
                   check=True)
    return file


def fio(point: Point, kind: str, seconds: float) -> Row:
    jobs = [word for file in point.files for word in (
        f"--name={file.name}", f"--filename={file}", f"--rw={KINDS[kind]}")]
    done = subprocess.run(
        ["fio", "--ioengine=libaio", "--direct=1", "--bs=4k", f"--iodepth={point.depth}",
         "--time_based", f"--runtime={int(seconds * 1000)}ms", "--norandommap", "--randrepeat=0",
         "--allow_file_create=0", "--group_reporting", "--output-format=json",
         "--percentile_list=50:99", *jobs], check=True, capture_output=True, text=True).stdout
    side: dict[str, Any] = json.loads(done[done.index("{"):])["jobs"][0][kind]
    late = side["clat_ns"]["percentile"]
    return Row(f"{point.line}{kind}", point.x, side["iops"], late["50.000000"] / 1e3,
               late["99.000000"] / 1e3)


def depths(cluster: Cluster) -> list[Point]:
    file = fill(cluster.create("deep", f"{SIZE_MIB}MiB", "n1,n2"))
    return [Point(depth, "", [file], depth) for depth in DEPTHS]


def at_both_depths(files: dict[int, Path]) -> list[Point]:
    return [Point(x, f"qd{depth} ", [file], depth) for x, file in files.items()
            for depth in (1, 16)]


def first_nodes(count: int) -> str:
    return ",".join(f"n{number + 1}" for number in range(count))


def replicas(cluster: Cluster) -> list[Point]:
    return at_both_depths({count: fill(cluster.create(f"copies{count}", f"{SIZE_MIB}MiB",
                                                      first_nodes(count))) for count in REPLICAS})


def disks(cluster: Cluster) -> list[Point]:
    files = [fill(cluster.create(f"one{number}", f"{SIZE_MIB}MiB", "n1,n2"))
             for number in range(max(DISKS))]
    return [Point(count, "", files[:count], 4) for count in DISKS]


def nodes(cluster: Cluster) -> list[Point]:
    return at_both_depths({count: fill(cluster.create(
        f"over{count}", f"{SIZE_MIB}MiB", first_nodes(count), "--stripe", "--replicas", "1"))
        for count in NODES})


def maps(cluster: Cluster) -> list[Point]:
    """On two nodes; then half of the blocks leave the second: in one piece, in pieces of 16 blocks,
    and block by block, in no regular order."""
    files = {}
    dice = random.Random(5)
    for piece in (MAP_BLOCKS // 2, 16, 1):
        name = f"runs{piece}"
        file = cluster.create(name, f"{MAP_BLOCKS * MAP_BLOCK_KIB}KiB", "n1,n2", "--block-size",
                              f"{MAP_BLOCK_KIB}KiB")
        pieces = range(MAP_BLOCKS // piece)
        gone = [1] if len(pieces) == 2 else sorted(dice.sample(pieces, len(pieces) // 2))
        for number in gone:
            cluster.ctl("location", "remove", name, "n2", "--blocks",
                        f"{number * piece}-{(number + 1) * piece - 1}")
        runs = 1 + sum((number in gone) != (number + 1 in gone) for number in pieces[:-1])
        files[runs] = fill(file)
    return at_both_depths(files)


PARTS = {
    "depth": Part(2, "depth", depths),
    "replicas": Part(max(REPLICAS), "replicas", replicas),
    "disks": Part(2, "disks", disks),
    "map": Part(2, "runs in the map", maps),
    "nodes": Part(max(NODES), "nodes", nodes),
}


def measured(name: str, rounds: int, seconds: float) -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="ukai-growth-", dir="/var/tmp"))
    part = PARTS[name]
    rows = []
    cluster = Cluster(folder, "--nodes", str(part.nodes), "--hosts", "1", "--plain")
    try:
        points = part.points(cluster)
        for _ in range(rounds):
            rows += [fio(point, kind, seconds) for point in points for kind in KINDS]
    finally:
        cluster.end()
        shutil.rmtree(folder)
    grouped: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        grouped.setdefault((row.job, row.x), []).append(row)
    return [Row(job, x, *(statistics.median(getattr(row, field) for row in of_one)
                          for field in ("iops", "p50_us", "p99_us")))
            for (job, x), of_one in grouped.items()]


def report(name: str, rows: list[Row], out: Path) -> None:
    jobs = list(dict.fromkeys(row.job for row in rows))
    x_name = PARTS[name].x_name
    print(f"\n| {x_name} | " + " | ".join(f"{job}: IOPS | p50, p99 in us" for job in jobs) + " |")
    print("| " + " | ".join(["---"] * (1 + 2 * len(jobs))) + " |")
    for x in sorted({row.x for row in rows}):
        cells = [f"{row.iops:,.0f} | {row.p50_us:,.0f}, {row.p99_us:,.0f}" for job in jobs
                 for row in rows if (row.job, row.x) == (job, x)]
        print(f"| {x:g} | " + " | ".join(cells) + " |", flush=True)
    with (out / f"growth-{name}.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["job", x_name, "iops", "p50_us", "p99_us"])
        table.writerows([row.job, f"{row.x:g}", f"{row.iops:.0f}", f"{row.p50_us:.1f}",
                         f"{row.p99_us:.1f}"] for row in rows)

    def lines(field: str, scale: float) -> dict[str, list[tuple[float, float]]]:
        return {job: [(row.x, getattr(row, field) * scale) for row in rows if row.job == job]
                for job in jobs}

    (out / f"growth-{name}.svg").write_text(beside([
        lines_svg("Throughput", x_name, "thousand IOPS", lines("iops", 1e-3), log_x=True),
        lines_svg("Latency, median", x_name, "us", lines("p50_us", 1), log_x=True),
        lines_svg("Latency, p99", x_name, "us", lines("p99_us", 1), log_x=True)]),
        encoding="utf-8")


def main(arguments: Optional[list[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="of each point")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with awake():
        for name in options.parts or PARTS:
            report(name, measured(name, options.rounds, options.seconds), options.out)


if __name__ == "__main__":
    main()
