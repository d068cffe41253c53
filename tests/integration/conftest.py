# SPDX-License-Identifier: BSD-2-Clause
"""Clusters for the tests. `shared` is one for all that only use disks; `own` is for a module that
kills, pauses or cuts."""
from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Callable, Iterator

import pytest

from cluster import Cluster

TEST_SECONDS = 420
_numbers = itertools.count(1)


def _new_cluster(*options: str) -> Cluster:
    folder = Path(tempfile.mkdtemp(prefix="ukai-test-"))
    return Cluster(folder, *options)


def _end(cluster: Cluster) -> None:
    cluster.end()
    shutil.rmtree(cluster.folder)


@pytest.fixture(scope="session")
def shared() -> Iterator[Cluster]:
    """Three nodes and two hosts. Tests leave it as they found it."""
    cluster = _new_cluster("--nodes", "3", "--hosts", "2")
    yield cluster
    _end(cluster)


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """Three nodes and two hosts, for one module's faults."""
    cluster = _new_cluster("--nodes", "3", "--hosts", "2")
    yield cluster
    _end(cluster)


@pytest.fixture
def new_cluster() -> Iterator[Callable[..., Cluster]]:
    """Makes clusters of any shape for one test."""
    made: list[Cluster] = []

    def make(*options: str) -> Cluster:
        made.append(_new_cluster(*options))
        return made[-1]

    yield make
    for cluster in made:
        _end(cluster)


@pytest.fixture
def name() -> str:
    """A disk name that no other test has."""
    return f"disk-{next(_numbers)}"


@pytest.fixture(autouse=True)
def watchdog(request: pytest.FixtureRequest) -> Iterator[None]:
    """I/O on a mount that no longer answers cannot be interrupted: end its ukaid instead."""
    def bark() -> None:
        print(f"{request.node.name}: still running after {TEST_SECONDS} s", file=sys.stderr)
        for cluster in Cluster.live:
            cluster.abort()

    timer = threading.Timer(TEST_SECONDS, bark)
    timer.start()
    yield
    timer.cancel()


def pytest_exception_interact(report: object) -> None:
    """Puts the ends of the daemons' logs behind a failed test."""
    if not isinstance(report, pytest.TestReport):
        return
    for cluster in Cluster.live:
        for log in sorted(cluster.folder.glob("*/log")):
            if not log.parent.name.startswith("zk"):
                tail = log.read_text(errors="replace").splitlines()[-15:]
                report.sections.append((f"end of {log}", "\n".join(tail)))
