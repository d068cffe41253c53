# SPDX-License-Identifier: BSD-2-Clause
"""The nine fio jobs, and the disks that they run on."""
from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from cluster import Cluster

MIB = 1 << 20
# Where the replicas of UKAI's disks lie; h1's node is inside ukaid.
DISKS = {
    "local": ("h1",), "remote": ("n1",), "2-remotes": ("n1", "n2"), "local+remote": ("h1", "n1"),
    "3-remotes": ("n1", "n2", "n3"), "striped": ("n1", "n2", "n3", "--stripe", "--replicas", "1"),
}


@dataclass(frozen=True)
class Job:
    name: str
    rw: str
    block_size: str
    depth: int
    more: tuple[str, ...] = ()

    @property
    def side(self) -> str:
        return "read" if "read" in self.rw else "write"


JOBS = (
    Job("4k read qd1", "randread", "4k", 1), Job("4k write qd1", "randwrite", "4k", 1),
    Job("4k read qd16", "randread", "4k", 16), Job("4k write qd16", "randwrite", "4k", 16),
    Job("128k read qd4", "read", "128k", 4), Job("128k write qd4", "write", "128k", 4),
    Job("1M read qd4", "read", "1m", 4), Job("1M write qd4", "write", "1m", 4),
    Job("4k write+fdatasync qd1", "randwrite", "4k", 1, ("--fdatasync=1",)),
)


@dataclass(frozen=True)
class Target:
    """What fio opens, and how."""
    fio: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    # The client's work is done by threads that fio does not count as the job's.
    own_threads: bool = False

    @staticmethod
    def file(path: Path) -> "Target":
        return Target((f"--filename={path}", "--ioengine=libaio"))


def command(target: Target, size: int, job: Job, seconds: float) -> list[str]:
    # The rbd engine knows no fdatasync; a flush of the disk is the same there.
    more = [word.replace("fdatasync", "fsync") if target.own_threads else word for word in job.more]
    return ["fio", "--name=job", *target.fio, f"--rw={job.rw}", f"--bs={job.block_size}",
            f"--iodepth={job.depth}", "--direct=1", f"--size={size}",
            "--time_based", f"--runtime={int(seconds * 1000)}ms", "--allow_file_create=0",
            "--norandommap", "--randrepeat=0", "--output-format=json", *more]


def report_of(printed: str) -> dict[str, object]:
    return dict(json.loads(printed[printed.index("{"):])["jobs"][0])


def fio(target: Target, size: int, job: Job, seconds: float) -> dict[str, object]:
    done = subprocess.run(command(target, size, job, seconds), check=True, capture_output=True,
                          text=True, env={**os.environ, **target.environment})
    return report_of(done.stdout)


def fill(target: Target, size: int) -> None:
    """Written whole, so that nothing is allocated later, and read once."""
    for rw in ("write", "read"):
        subprocess.run(["fio", "--name=fill", *target.fio, f"--rw={rw}", "--bs=1m",
                        f"--size={size}", "--direct=1", "--end_fsync=1", "--output=/dev/null"],
                       check=True, env={**os.environ, **target.environment})


def made_file(path: Path, size: int) -> Path:
    with path.open("wb") as made:
        made.truncate(size)
    return path


def made_disk(cluster: Cluster, name: str, size: int) -> Path:
    nodes = [part for part in DISKS[name] if not part.startswith("--")]
    cut = len(nodes) if "--replicas" not in DISKS[name] else 3
    return cluster.create(name.replace("+", "-"), str(size), ",".join(nodes[:cut]),
                          *DISKS[name][cut:])
