#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether the daemons' memory grows under a load that goes on.

    tests/bench/soak.py [--minutes 10] [--out build/bench]

Two disks, one on two nodes and one on the host's own and a node; on each fio reads and writes 4 KiB
to 1 MiB at random, depth 64. The resident memory of all daemons is taken every 10 s; prints the
first, the last and the largest, and writes soak.csv and soak.svg. Nothing is asserted.
"""
from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
# pylint: disable=wrong-import-position
from cluster import Cluster  # noqa: E402
from plot import lines_svg  # noqa: E402

SIZE_MIB = 256
INTERVAL_S = 10
DISKS = {"two-remotes": "n1,n2", "local-and-remote": "h1,n1"}


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kib) / 1024


def load_on(files: list[Path], seconds: float) -> "subprocess.Popen[bytes]":
    jobs = [word for file in files for word in (f"--name={file.name}", f"--filename={file}")]
    return subprocess.Popen(
        ["fio", "--direct=1", "--ioengine=libaio", "--iodepth=64", "--rw=randrw", "--norandommap",
         "--bssplit=4k/70:64k/15:128k/10:1m/5", f"--size={SIZE_MIB}m", "--time_based",
         f"--runtime={seconds:.0f}", "--allow_file_create=0", "--output=/dev/null", *jobs])


def sampled(load: "subprocess.Popen[bytes]", pids: dict[str, int]) -> list[dict[str, float]]:
    begin = time.monotonic()
    rows: list[dict[str, float]] = []
    while True:
        row: dict[str, float] = {"second": round(time.monotonic() - begin)}
        for name, pid in pids.items():
            row[name] = round(resident_mib(pid), 1)
        rows.append(row)
        try:
            if load.wait(INTERVAL_S) != 0:
                raise SystemExit("fio has failed")
            return rows
        except subprocess.TimeoutExpired:
            pass


def soak(cluster: Cluster, minutes: float) -> list[dict[str, float]]:
    files = [cluster.create(name, f"{SIZE_MIB}MiB", nodes) for name, nodes in DISKS.items()]
    pids = {name: int(daemon["pid"]) for name, daemon in cluster.daemons().items()
            if daemon["kind"] != "zk"}
    return sampled(load_on(files, minutes * 60), pids)


def main(arguments: Optional[list[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="ukai-soak-", dir="/var/tmp"))
    cluster = Cluster(folder, "--nodes", "2", "--hosts", "1", "--local", "--plain")
    try:
        rows = soak(cluster, options.minutes)
    finally:
        cluster.end()
        shutil.rmtree(folder)
    with (options.out / "soak.csv").open("w", newline="", encoding="utf-8") as out:
        table = csv.DictWriter(out, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    names = [name for name in rows[0] if name != "second"]
    lines = {name: [(row["second"], row[name]) for row in rows] for name in names}
    (options.out / "soak.svg").write_text(
        lines_svg("Resident memory under load", "s", "MiB", lines), encoding="utf-8")
    print(f"{'MiB':8}{'start':>8}{'60 s':>8}{'half':>8}{'end':>8}{'largest':>9}")
    for name in names:
        of_one = [row[name] for row in rows]
        minute = next((row[name] for row in rows if row["second"] >= 60), of_one[-1])
        print(f"{name:8}{of_one[0]:8.0f}{minute:8.0f}{of_one[len(of_one) // 2]:8.0f}"
              f"{of_one[-1]:8.0f}{max(of_one):9.0f}")


if __name__ == "__main__":
    main()
