# SPDX-License-Identifier: BSD-2-Clause
"""What the tests on dev clusters share: clusters, names, a watchdog, the ends of logs."""
from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

import pytest

from cluster import Cluster

_numbers = itertools.count(1)


def make_cluster(*options: str) -> Cluster:
    return Cluster(Path(tempfile.mkdtemp(prefix="ukai-test-")), *options)


def end_cluster(cluster: Cluster) -> None:
    cluster.end()
    shutil.rmtree(cluster.folder)


@pytest.fixture
def new_cluster() -> Iterator[Callable[..., Cluster]]:
    """Makes clusters of any shape for one test."""
    made: list[Cluster] = []

    def make(*options: str) -> Cluster:
        made.append(make_cluster(*options))
        return made[-1]

    yield make
    for cluster in made:
        end_cluster(cluster)


@pytest.fixture
def name() -> str:
    """A disk name that no other test has."""
    return f"disk-{next(_numbers)}"


@contextmanager
def watched(what: str, seconds: float) -> Iterator[None]:
    """I/O on a mount that no longer answers cannot be interrupted: ends its ukaid instead."""
    def bark() -> None:
        print(f"{what}: still running after {seconds} s", file=sys.stderr)
        for cluster in Cluster.live:
            cluster.abort()

    timer = threading.Timer(seconds, bark)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def add_logs(report: pytest.TestReport, lines: int) -> None:
    """Puts the ends of the daemons' logs behind a failed test."""
    for cluster in Cluster.live:
        for log in sorted(cluster.folder.glob("*/log")):
            if not log.parent.name.startswith("zk"):
                tail = log.read_text(errors="replace").splitlines()[-lines:]
                report.sections.append((f"end of {log}", "\n".join(tail)))
