#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Many disks, deep queues, large stores: what they cost, and whether anybody is left behind.

    tests/bench/many.py [--minutes 10] [PART …]

Parts: fairness, depth, writers, neighbour, memory, store, growth.

Prints figures; nothing is asserted. Wants an idle machine and the release build.
"""
from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
# pylint: disable=wrong-import-position
from cluster import Cluster  # noqa: E402

MIB = 1 << 20
BLOCK = 4 * MIB
SIZE_MIB = 256


def fio(*jobs: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        ["fio", "--ioengine=libaio", "--direct=1", "--bs=4k", "--time_based", "--norandommap",
         "--output-format=json", *jobs], check=True, capture_output=True, text=True).stdout
    return list(json.loads(done[done.index("{"):])["jobs"])


def fill(file: Path) -> Path:
    subprocess.run(["fio", "--name=fill", f"--filename={file}", "--rw=write", "--bs=1m",
                    f"--size={SIZE_MIB}m", "--direct=1", "--output=/dev/null"], check=True)
    return file


def resident_mib(cluster: Cluster, daemon: str) -> float:
    status = Path(f"/proc/{cluster.daemons()[daemon]['pid']}/status").read_text(encoding="ascii")
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kib) / 1024


def fairness(cluster: Cluster) -> None:
    """16 disks on one ukaid, the same load on each."""
    files = [fill(cluster.create(f"fair{i}", f"{SIZE_MIB}MiB", "n1,n2")) for i in range(16)]
    for kind in ("randread", "randwrite"):
        jobs = [word for i, file in enumerate(files)
                for word in (f"--name=guest{i}", f"--filename={file}", f"--rw={kind}",
                             "--iodepth=4", "--runtime=10")]
        side = "read" if kind == "randread" else "write"
        rates = [job[side]["iops"] for job in fio(*jobs)]
        print(f"fairness, {kind}: {sum(rates):.0f} IOPS in all, fastest to slowest "
              f"{max(rates) / min(rates):.2f}")


def depth(cluster: Cluster) -> None:
    file = fill(cluster.create("deep", f"{SIZE_MIB}MiB", "n1,n2"))
    for queue in (1, 4, 16, 64, 256):
        for kind in ("randread", "randwrite"):
            job = fio("--name=deep", f"--filename={file}", f"--rw={kind}", f"--iodepth={queue}",
                      "--percentile_list=50:99:99.9", "--runtime=5")[0]
            side = job["read" if kind == "randread" else "write"]
            late = {name: value / 1000 for name, value in side["clat_ns"]["percentile"].items()}
            print(f"depth {queue:3}, {kind:9}: {side['iops']:8.0f} IOPS, us p50 "
                  f"{late['50.000000']:7.0f}, p99 {late['99.000000']:7.0f}, p99.9 "
                  f"{late['99.900000']:7.0f}")


def writers(cluster: Cluster) -> None:
    """Synchronous writers on one file: parallel direct writes."""
    file = fill(cluster.create("writers", f"{SIZE_MIB}MiB", "n1,n2"))
    for count in (1, 8):
        job = fio("--name=writers", f"--filename={file}", "--rw=randwrite", "--ioengine=psync",
                  f"--numjobs={count}", "--thread", "--group_reporting", "--runtime=5")[0]
        print(f"{count} synchronous writers: {job['write']['iops']:.0f} IOPS")


def neighbour(cluster: Cluster) -> None:
    """A disk that does not use a node which stands still."""
    file = fill(cluster.create("bystander", f"{SIZE_MIB}MiB", "n1"))
    other = fill(cluster.create("victim", f"{SIZE_MIB}MiB", "n1,n2"))
    ratios = []
    for _ in range(3):
        rates = []
        for stopped in (False, True):
            load = subprocess.Popen(
                ["fio", "--name=victim", f"--filename={other}", "--rw=randwrite", "--bs=4k",
                 "--direct=1", "--ioengine=libaio", "--iodepth=4", "--rate_iops=500",
                 "--time_based", "--runtime=5", "--output=/dev/null"])
            pid = int(cluster.daemons()["n2"]["pid"])
            if stopped:
                os.kill(pid, signal.SIGSTOP)
            rates.append(fio("--name=bystander", f"--filename={file}", "--rw=randwrite",
                             "--iodepth=4", "--runtime=5")[0]["write"]["iops"])
            os.kill(pid, signal.SIGCONT)
            load.wait()
        cluster.wait_healthy("victim")
        ratios.append(rates[1] / rates[0])
    print(f"beside a node that stands still: {statistics.median(ratios):.2f} of the IOPS")


def memory(cluster: Cluster) -> None:
    """100 disks of 1 TiB, open; and how long short things take."""
    names = [f"large{i}" for i in range(100)]
    for name in names:
        cluster.ctl("disk", "create", name, "--size", "1TiB", "--location", "n1,n2")
    before = resident_mib(cluster, "h1")
    opened, took = [], []
    for name in names:
        begin = time.monotonic()
        opened.append(os.open(cluster.mount() / name, os.O_RDWR))
        took.append(time.monotonic() - begin)
        os.pwrite(opened[-1], bytes(4096), 0)
    print(f"ukaid: {before:.0f} MiB, with 100 disks of 1 TiB open "
          f"{resident_mib(cluster, 'h1'):.0f} MiB; opening {statistics.median(took) * 1e3:.1f} ms "
          f"(longest {max(took) * 1e3:.1f})")
    for command in (["disk", "info", names[0]], ["node", "list"], ["lease", "show", names[0]]):
        seconds = []
        for _ in range(5):
            begin = time.monotonic()
            cluster.ctl(*command)
            seconds.append(time.monotonic() - begin)
        print(f"ukaictl {' '.join(command)}: {statistics.median(seconds) * 1e3:.0f} ms")
    for file in opened:
        os.close(file)


def store(cluster: Cluster) -> None:
    """A node that holds 1 TiB of 4 MiB blocks, sparse: its start, and its memory."""
    file = cluster.create("filled", "1TiB", "n2")
    blocks = (1 << 40) // BLOCK
    with open(file, "r+b", buffering=0) as disk:
        for block in range(blocks):
            os.pwrite(disk.fileno(), b"b", block * BLOCK)
    cluster.kill("n2")
    begin = time.monotonic()
    cluster.start("n2")
    took = time.monotonic() - begin
    with open(file, "rb", buffering=0) as disk:
        assert os.pread(disk.fileno(), 1, (blocks - 1) * BLOCK) == b"b"
    print(f"ukainode with {blocks} blocks: up after {took:.2f} s (devcluster's own part included), "
          f"{resident_mib(cluster, 'n2'):.0f} MiB")


def growth(cluster: Cluster, minutes: float) -> None:
    """Resident memory under a mixed load, minute by minute."""
    file = fill(cluster.create("grows", f"{SIZE_MIB}MiB", "n1,n2"))
    load = subprocess.Popen(
        ["fio", f"--filename={file}", "--direct=1", "--ioengine=libaio", "--time_based",
         f"--runtime={minutes * 60:.0f}", "--output=/dev/null", "--name=small", "--rw=randrw",
         "--bs=4k", "--iodepth=16", "--name=large", "--rw=randrw", "--bs=1m", "--iodepth=4"])
    while load.poll() is None:
        sizes = {daemon: resident_mib(cluster, daemon) for daemon in ("h1", "n1", "n2")}
        print("MiB: " + ", ".join(f"{name} {size:.0f}" for name, size in sizes.items()), flush=True)
        time.sleep(min(60.0, minutes * 6))


def main(arguments: Optional[list[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--minutes", type=float, default=10, help="of growth")
    options = parser.parse_args(arguments)
    parts: dict[str, Callable[[Cluster], None]] = {
        "fairness": fairness, "depth": depth, "writers": writers, "neighbour": neighbour,
        "memory": memory, "store": store,
        "growth": lambda cluster: growth(cluster, options.minutes)}
    for name in options.parts or parts:
        folder = Path(tempfile.mkdtemp(prefix="ukai-many-", dir="/var/tmp"))
        cluster = Cluster(folder, "--nodes", "2", "--hosts", "1", "--plain")
        try:
            parts[name](cluster)
        finally:
            cluster.end()
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
