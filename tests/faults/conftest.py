# SPDX-License-Identifier: BSD-2-Clause
"""Clusters, loads and the table of the longest I/Os; `--long` for the long forms."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from cluster import Cluster
from cluster_fixtures import add_logs, end_cluster, make_cluster, name, new_cluster, watched
from load import Load
from oracles import HonestStatus

__all__ = ["name", "new_cluster"]  # fixtures

TEST_SECONDS = 300
LONG_TEST_SECONDS = 1800
LOG_LINES = 25
SHARED = ("--nodes", "3", "--hosts", "2")
_shared: list[Cluster] = []
_longest: list[tuple[str, float]] = []
_failed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the long form of each fault")


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--long"))


def _all_run(cluster: Cluster) -> bool:
    return {daemon["state"] for daemon in cluster.daemons().values()} == {"running"}


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Three nodes and two hosts, all running. After a test that failed or left somebody dead, the
    next gets new ones."""
    if _shared and not _all_run(_shared[0]):
        # A test that failed in another cluster has ended the hosts of all.
        end_cluster(_shared.pop())
    if not _shared:
        _shared.append(make_cluster(*SHARED))
    yield _shared[0]
    if request.node.stash.get(_failed, False) or not _all_run(_shared[0]):
        end_cluster(_shared.pop())


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
    with watched(request.node.name, LONG_TEST_SECONDS if long else TEST_SECONDS):
        yield


def pytest_exception_interact(node: pytest.Item, report: object) -> None:
    """A cluster in which a test failed is not used again."""
    node.stash[_failed] = True
    if isinstance(report, pytest.TestReport):
        add_logs(report, LOG_LINES)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _longest:
        terminalreporter.section("longest I/O, in seconds")
        for test, seconds in _longest:
            terminalreporter.write_line(f"{seconds:8.2f}  {test}")


def pytest_sessionfinish() -> None:
    while _shared:
        end_cluster(_shared.pop())
