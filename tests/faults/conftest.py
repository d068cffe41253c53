# SPDX-License-Identifier: BSD-2-Clause
"""Clusters, loads and the table of the longest I/Os; `--long` for the long forms."""
from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from cluster import Cluster
from load import Load
from oracles import HonestStatus

TEST_SECONDS = 120
LONG_TEST_SECONDS = 1800
SHARED = ("--nodes", "3", "--hosts", "2")
_numbers = itertools.count(1)
_shared: list[Cluster] = []
_longest: list[tuple[str, float]] = []
_failed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the long form of each fault")


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--long"))


def _new_cluster(*options: str) -> Cluster:
    return Cluster(Path(tempfile.mkdtemp(prefix="ukai-faults-")), *options)


def _end(cluster: Cluster) -> None:
    cluster.end()
    shutil.rmtree(cluster.folder)


def _all_run(cluster: Cluster) -> bool:
    return {daemon["state"] for daemon in cluster.daemons().values()} == {"running"}


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Three nodes and two hosts, all running. After a test that failed or left somebody dead, the
    next gets new ones."""
    if _shared and not _all_run(_shared[0]):
        _end(_shared.pop())  # a test that failed in another cluster has ended the hosts of all
    if not _shared:
        _shared.append(_new_cluster(*SHARED))
    yield _shared[0]
    if request.node.stash.get(_failed, False) or not _all_run(_shared[0]):
        _end(_shared.pop())


@pytest.fixture
def new_cluster() -> Iterator[Callable[..., Cluster]]:
    """Makes clusters of any shape for one test."""
    made: list[Cluster] = []

    def make(*options: str) -> Cluster:
        made.append(_new_cluster(*options))
        return made[-1]

    yield make
    for one in made:
        _end(one)


@pytest.fixture
def name() -> str:
    """A disk name that no other test has."""
    return f"disk-{next(_numbers)}"


@pytest.fixture
def load(request: pytest.FixtureRequest) -> Iterator[Callable[..., Load]]:
    """Starts checkers; their longest I/O goes into the table."""
    started: list[Load] = []

    def start(file: Path, size: int, *options: str) -> Load:
        started.append(Load(file, size, *options))
        return started[-1]

    yield start
    if request.node.stash.get(_failed, False):
        for cluster in Cluster.live:
            cluster.abort()  # or the checker waits in its mount
    for one in started:
        one.end()
    if started:
        _longest.append((request.node.name, max(one.longest_s for one in started)))


@pytest.fixture
def honest() -> Iterator[Callable[[Cluster, str], HonestStatus]]:
    """Starts watchers of `ukaictl status`."""
    started: list[HonestStatus] = []

    def start(of: Cluster, disk: str) -> HonestStatus:
        started.append(HonestStatus(of, disk))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture(autouse=True)
def watchdog(request: pytest.FixtureRequest, long: bool) -> Iterator[None]:
    """I/O on a mount that no longer answers cannot be interrupted: end its ukaid instead."""
    seconds = LONG_TEST_SECONDS if long else TEST_SECONDS

    def bark() -> None:
        print(f"{request.node.name}: still running after {seconds} s", file=sys.stderr)
        for one in Cluster.live:
            one.abort()

    timer = threading.Timer(seconds, bark)
    timer.start()
    yield
    timer.cancel()


def pytest_exception_interact(node: pytest.Item, report: object) -> None:
    """Puts the ends of the daemons' logs behind a failed test; its cluster is not used again."""
    node.stash[_failed] = True
    if not isinstance(report, pytest.TestReport):
        return
    for one in Cluster.live:
        for log in sorted(one.folder.glob("*/log")):
            if not log.parent.name.startswith("zk"):
                tail = log.read_text(errors="replace").splitlines()[-25:]
                report.sections.append((f"end of {log}", "\n".join(tail)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _longest:
        terminalreporter.section("longest I/O, in seconds")
        for test, seconds in _longest:
            terminalreporter.write_line(f"{seconds:8.2f}  {test}")


def pytest_sessionfinish() -> None:
    while _shared:
        _end(_shared.pop())
