# SPDX-License-Identifier: BSD-2-Clause
"""Clusters for the tests. `shared` is one for all that only use disks; `own` is for a module that
kills, pauses or cuts."""
from __future__ import annotations

from typing import Iterator

import pytest

from cluster import Cluster
from cluster_fixtures import add_logs, end_cluster, make_cluster, name, new_cluster, watched

__all__ = ["name", "new_cluster"]  # fixtures

TEST_SECONDS = 420
LOG_LINES = 15


@pytest.fixture(scope="session")
def shared() -> Iterator[Cluster]:
    """Three nodes and two hosts. Tests leave it as they found it."""
    cluster = make_cluster("--nodes", "3", "--hosts", "2")
    yield cluster
    end_cluster(cluster)


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """Three nodes and two hosts, for one module's faults."""
    cluster = make_cluster("--nodes", "3", "--hosts", "2")
    yield cluster
    end_cluster(cluster)


@pytest.fixture(autouse=True)
def watchdog(request: pytest.FixtureRequest) -> Iterator[None]:
    with watched(request.node.name, TEST_SECONDS):
        yield


def pytest_exception_interact(report: object) -> None:
    if isinstance(report, pytest.TestReport):
        add_logs(report, LOG_LINES)
