# SPDX-License-Identifier: BSD-2-Clause
"""One cluster and one Cinder for all tests; each begins and ends without volumes."""
from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud import Cloud
from cluster_fixtures import add_logs, end_cluster, make_cluster, watched
from stack import Stack

TEST_SECONDS = 420
LOG_LINES = 8


@pytest.fixture(scope="session")
def running() -> Iterator[Cloud]:
    cluster = make_cluster("--nodes", "4", "--hosts", "2")
    folder = Path(tempfile.mkdtemp(prefix="ukai-cinder-"))
    stack = Stack(folder, cluster.metadata)
    try:
        stack.up()
        yield Cloud(cluster, stack)
    finally:
        stack.down()
        end_cluster(cluster)
        shutil.rmtree(folder)


@pytest.fixture
def cloud(running: Cloud, request: pytest.FixtureRequest) -> Iterator[Cloud]:
    with watched(request.node.name, TEST_SECONDS):
        yield running
        running.empty()


def pytest_exception_interact(node: object, report: object) -> None:
    if not isinstance(report, pytest.TestReport) or not isinstance(node, pytest.Item):
        return
    add_logs(report, LOG_LINES)
    cloud = getattr(node, "funcargs", {}).get("running")
    if cloud and cloud.stack.processes:
        lines = [line for line in cloud.stack.log("volume").splitlines()
                 if " ERROR " in line or " WARNING " in line]
        report.sections.append(("cinder-volume's complaints", "\n".join(lines[-LOG_LINES * 3:])))
