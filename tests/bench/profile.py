#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the processors do during a job, in microseconds a request.

    tests/bench/profile.py [--disks local,remote,2-remotes] [--jobs "4k read qd1,128k read qd4"]

For each job: libfuse's example over a file in the page cache (pt-cache), then UKAI's disks, with
the requests a second and where both cores' time goes, by who spends it and on what. perf samples
all processors (it slows small requests by a tenth). Wants an idle machine, the release build, root
and perf (package linux-perf).
"""
from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Dict, Optional, Tuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
# pylint: disable=wrong-import-position
import jobs  # noqa: E402
from cluster import Cluster  # noqa: E402
from references import Passthrough, awake, large_pipes  # noqa: E402

SIZE = 512 * jobs.MIB
SECONDS = 1.2
# The first that fits a sample's symbol or library.
KINDS = {
    "copying": r"copy_(to|from)_iter|copy_folio|memcpy|memmove|copy_(to|from)_user|clear_page",
    "checksum": r"XXH|xxh|first_bad|UnitSummer|UnitSums",
    "FUSE": r"fuse|gup_fast|iov_iter|pin_folio|unpin",
    "TCP": r"tcp|skb|sock|inet|ip_|ipv4|net_|netif|loopback|xmit|handle_softirqs|release_pages",
    "files": r"ext4|jbd2|filemap|folio|xas_|block_write|block_commit|buffer|page_cache|vfs_",
    "switching": r"task_switch|schedul|wake|ttwu|epoll|futex|eventfd|_irqrestore|enqueue|dequeue|"
                 r"pick_|update_curr|smp_call|sysvec|poll_idle",
    "memory and locks": r"malloc|free|operator new|operator delete|tcmalloc|mutex|rwlock|slab|kmem|"
                        r"raw_spin|spin_unlock|pv_queued",
    "UKAI": r"ukai",
}
OTHER = "other"
Shares = Dict[Tuple[str, str], float]  # by who and kind


def who_of(command: str) -> str:
    if command == "swapper":
        return "idle"
    if command == "fio":
        return "guest"
    if command.startswith("ukai-serve") or command == "ukainode":
        return "nodes"
    return "host" if command.startswith(("ukai", "pt-cache")) else "rest"


def kind_of(symbol: str, library: str) -> str:
    for kind, pattern in KINDS.items():
        if re.search(pattern, symbol):
            return kind
    if "tcmalloc" in library:
        return "memory and locks"
    return "UKAI" if library.startswith("ukai") else OTHER


def shares(data: Path) -> Shares:
    """Of both processors' time, in percent."""
    printed = subprocess.run(
        ["perf", "report", "-i", str(data), "--no-children", "--stdio", "-t", "|", "-g", "none",
         "-F", "overhead,comm,dso,sym"], check=True, capture_output=True, text=True).stdout
    found: Shares = defaultdict(float)
    for line in printed.splitlines():
        cells = [cell.strip() for cell in line.split("|", 3)]
        if len(cells) < 4 or not cells[0].endswith("%"):
            continue
        found[who_of(cells[1]), kind_of(cells[3][4:], cells[2])] += float(cells[0][:-1])
    return found


def sample(file: Path, job: jobs.Job, data: Path) -> float:
    """Requests a second."""
    command = jobs.command(jobs.Target.file(file), SIZE, job, SECONDS + 1)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
        time.sleep(0.6)
        subprocess.run(["perf", "record", "-q", "-a", "-F", "8000", "-e", "cpu-clock", "-o",
                        str(data), "sleep", str(SECONDS)], check=True, stderr=subprocess.DEVNULL)
        report = jobs.report_of(load.communicate()[0])
    side = report[job.side]
    assert isinstance(side, dict)
    return float(side["iops"])


def print_profile(name: str, iops: float, found: Shares) -> None:
    cores = os.cpu_count() or 1

    def us(share: float) -> str:
        return f"{share / 100 * cores * 1e6 / iops:8.2f}" if share else f"{'':8}"

    people = ["guest", "host", "nodes"]
    print(f"  {name}: {iops:,.0f} a second\n{'':20}" + "".join(f"{who:>8}" for who in people))
    for kind in [*KINDS, OTHER]:
        row = [found[who, kind] for who in people]
        if any(row):
            print(f"    {kind:16}" + "".join(us(share) for share in row))
    totals = [sum(share for (who, _), share in found.items() if who == person)
              for person in [*people, "idle"]]
    print(f"    {'all':16}" + "".join(us(total) for total in totals[:3])
          + f"   idle {totals[3]:.0f} %", flush=True)


def main(arguments: Optional[list[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--disks", default="local,remote,2-remotes")
    parser.add_argument("--jobs", default=",".join(job.name for job in jobs.JOBS))
    options = parser.parse_args(arguments)
    wanted = [job for job in jobs.JOBS if job.name in options.jobs.split(",")]
    folder = Path(tempfile.mkdtemp(prefix="ukai-profile-", dir="/var/tmp"))
    cluster = Cluster(folder / "cluster", "--nodes", "3", "--hosts", "1", "--local", "--plain")
    reference: Optional[Passthrough] = None
    try:
        with large_pipes(), awake():
            backing = jobs.made_file(folder / "pt-cache.file", SIZE)
            reference = Passthrough("pt-cache", folder, backing)
            files = {"pt-cache": reference.file}
            for name in options.disks.split(","):
                files[name] = jobs.made_disk(cluster, name, SIZE)
            for file in files.values():
                jobs.fill(jobs.Target.file(file), SIZE)
            for job in wanted:
                print(job.name)
                for name, file in files.items():
                    iops = sample(file, job, folder / "perf.data")
                    print_profile(name, iops, shares(folder / "perf.data"))
    finally:
        if reference is not None:
            reference.end()
        cluster.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
