#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Many disks, deep queues, large stores: what they cost, and whether anybody is left behind.

    tests/bench/many.py [PART …]

Parts: fairness, depth, writers, neighbour, memory, store (524,288 small files for some minutes).

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
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Optional

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
# pylint: disable=wrong-import-position
from cluster import Cluster  # noqa: E402
from soak import resident_mib as resident_of  # noqa: E402
from sparse_blocks import make_blocks  # noqa: E402

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
    return resident_of(int(cluster.daemons()[daemon]["pid"]))


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


def seconds_to_start(cluster: Cluster, node: str) -> float:
    """From the process's beginning to the line that says it is ready."""
    cluster.kill(node)
    cluster.start(node)
    said = [line for line in (cluster.home(node) / "log").read_text(encoding="utf-8").splitlines()
            if "event=ready" in line][-1]
    stat = Path(f"/proc/{cluster.daemons()[node]['pid']}/stat").read_text(encoding="ascii")
    began = int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    ready = datetime.fromisoformat(said.split()[0]).timestamp()
    return ready - (time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)) - began


def store(cluster: Cluster) -> None:
    """A node that holds 1 TiB of 4 MiB blocks, sparse: its start, and its memory."""
    file = cluster.create("filled", "1TiB", "n2")
    blocks = (1 << 40) // BLOCK
    with open(file, "r+b", buffering=0) as disk:
        disk.write(b"first")
    cluster.kill("n2")
    folder = next((cluster.home("n2") / "data" / "store" / "disks").iterdir())
    make_blocks(folder, blocks, BLOCK)
    os.sync()  # else the node's first fsync pays for it
    print(f"an empty node's start: {seconds_to_start(cluster, 'n1'):.2f} s")
    for caches in ("warm", "empty"):
        if caches == "empty":
            Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")
        print(f"that of one with {blocks} blocks, caches {caches}: "
              f"{seconds_to_start(cluster, 'n2'):.2f} s, {resident_mib(cluster, 'n2'):.0f} MiB",
              flush=True)
    read_all(file, blocks)
    print(f"  every block read: {resident_mib(cluster, 'n2'):.0f} MiB", flush=True)
    begin = time.monotonic()
    cluster.ctl("disk", "map", "filled")
    cluster.ctl("disk", "info", "filled")
    print(f"  disk map, disk info: {time.monotonic() - begin:.2f} s; "
          f"{resident_mib(cluster, 'n2'):.0f} MiB")


def read_all(file: Path, blocks: int) -> None:
    """A byte of each; damage would be an error."""
    with open(file, "rb", buffering=0) as disk:
        assert os.pread(disk.fileno(), 5, 0) == b"first"
        for block in range(1, blocks):
            assert os.pread(disk.fileno(), 1, block * BLOCK) == b"\0"


def main(arguments: Optional[list[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*")
    options = parser.parse_args(arguments)
    parts: dict[str, Callable[[Cluster], None]] = {
        "fairness": fairness, "depth": depth, "writers": writers, "neighbour": neighbour,
        "memory": memory, "store": store}
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
