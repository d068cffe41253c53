#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Where the time of one 4 KiB request at depth 1 goes, from a trace of system calls.

    tests/bench/waterfall.py [--read]

One remote replica; perf records the system calls of fio, ukaid and ukainode for a moment, which
makes each of them about a microsecond longer. Prints medians over all requests of that moment.
Wants an idle machine, the release build, root and perf (package linux-perf).
"""
from __future__ import annotations

import argparse
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
# pylint: disable=wrong-import-position
from cluster import Cluster  # noqa: E402

SIZE_MIB = 256
SECONDS = 0.3
LINE = re.compile(r"^\s*(?P<comm>\S+)\s+(?P<time>[\d.]+):\s+raw_syscalls:sys_(?P<edge>enter|exit): "
                  r"NR (?P<number>\d+)")
READ, PWRITE, WRITEV, RECVFROM, SENDMSG = 0, 18, 20, 45, 46
EPOLL_WAIT, GETEVENTS, SUBMIT, PWRITEV, PREADV2 = 232, 208, 209, 296, 327


@dataclass(frozen=True)
class Step:
    """Ends with the next such event after the step before."""
    what: str
    thread: str
    edge: str
    number: int


BEGIN = Step("", "fio", "enter", SUBMIT)
OUT = [
    Step("kernel: FUSE queues it, ukaid wakes up", "ukai-data", "exit", EPOLL_WAIT),
    Step("ukaid: receives the request", "ukai-data", "exit", READ),
    Step("ukaid: lease, map, order, replicas, frame", "ukai-data", "enter", SENDMSG),
    Step("kernel: TCP, the node wakes up", "ukai-serve", "exit", EPOLL_WAIT),
    Step("ukainode: receives the frame", "ukai-serve", "exit", RECVFROM),
]
WRITE = [
    Step("ukainode: session, epoch, log, checksum", "ukai-serve", "enter", PWRITEV),
    Step("kernel: data into the page cache", "ukai-serve", "exit", PWRITEV),
    Step("kernel: checksum into the page cache", "ukai-serve", "exit", PWRITE),
]
READS = [
    Step("ukainode: session, epoch", "ukai-serve", "enter", PREADV2),
    Step("kernel: data from the page cache", "ukai-serve", "exit", PREADV2),
]
BACK = [
    Step("ukainode: answer", "ukai-serve", "enter", SENDMSG),
    Step("kernel: TCP, ukaid wakes up", "ukai-data", "exit", EPOLL_WAIT),
    Step("ukaid: receives the answer", "ukai-data", "exit", RECVFROM),
    Step("ukaid: who has it, done", "ukai-data", "enter", WRITEV),
    Step("kernel: FUSE, the guest wakes up", "fio", "exit", GETEVENTS),
]


def events(trace: str) -> Iterator[tuple[float, str, str, int]]:
    for line in trace.splitlines():
        if found := LINE.match(line):
            yield (float(found["time"]) * 1e6, found["comm"], found["edge"], int(found["number"]))


def requests(trace: str, steps: list[Step]) -> list[list[float]]:
    """Microseconds from the submission to each step's end, of the requests that have them all."""
    done: list[list[float]] = []
    at: list[float] = []
    begun = 0.0
    for when, thread, edge, number in events(trace):
        seen = Step("", thread, edge, number)
        if seen == BEGIN:
            begun, at = when, []
        elif begun and len(at) < len(steps):
            wanted = steps[len(at)]
            if (wanted.thread, wanted.edge, wanted.number) == (thread, edge, number):
                at.append(when - begun)
                if len(at) == len(steps):
                    done.append(at)
    return done


def record(file: Path, reads: bool, folder: Path) -> str:
    data = folder / "perf.data"
    with subprocess.Popen(
            ["fio", "--name=one", f"--filename={file}", f"--rw=rand{'read' if reads else 'write'}",
             "--bs=4k", "--iodepth=1", "--ioengine=libaio", "--direct=1", "--time_based",
             "--runtime=4", "--output=/dev/null"]):
        time.sleep(1.5)
        subprocess.run(["perf", "record", "-q", "-a", "-m", "4M", "-o", str(data),
                        "-e", "raw_syscalls:sys_enter", "-e", "raw_syscalls:sys_exit",
                        "sleep", str(SECONDS)], check=True)
    return subprocess.run(["perf", "script", "-i", str(data), "--ns", "-F",
                           "comm,time,event,trace"], check=True, capture_output=True,
                          text=True).stdout


def print_waterfall(steps: list[Step], found: list[list[float]]) -> None:
    begin = 0.0
    print(f"{len(found)} requests, medians, us\n{'from':>6}{'takes':>7}")
    for i, step in enumerate(steps):
        end = statistics.median(one[i] for one in found)
        took = statistics.median(one[i] - (one[i - 1] if i else 0.0) for one in found)
        print(f"{begin:6.1f}{took:7.1f}  {' ' * round(begin / 2)}{'#' * max(1, round(took / 2))}"
              f"  {step.what}")
        begin = end
    print(f"{begin:6.1f}")


def main(arguments: Optional[list[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--read", action="store_true")
    options = parser.parse_args(arguments)
    steps = OUT + (READS if options.read else WRITE) + BACK
    folder = Path(tempfile.mkdtemp(prefix="ukai-waterfall-", dir="/var/tmp"))
    cluster = Cluster(folder / "cluster", "--nodes", "1", "--hosts", "1", "--plain")
    try:
        file = cluster.create("one", f"{SIZE_MIB}MiB", "n1")
        subprocess.run(["fio", "--name=fill", f"--filename={file}", "--rw=write", "--bs=1m",
                        f"--size={SIZE_MIB}m", "--direct=1", "--output=/dev/null"], check=True)
        with open("/dev/cpu_dma_latency", "wb", buffering=0) as awake:
            awake.write(struct.pack("i", 0))
            trace = record(file, options.read, folder)
    finally:
        cluster.end()
        shutil.rmtree(folder, ignore_errors=True)
    found = requests(trace, steps)
    if not found:
        raise SystemExit("the trace has no whole request: is perf allowed to record it?")
    print_waterfall(steps, found)


if __name__ == "__main__":
    main()
