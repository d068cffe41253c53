# SPDX-License-Identifier: BSD-2-Clause
"""A guest with the mount's file as its disk: Debian's cloud kernel, two boots, all checked."""
from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

import guest
import image
from cluster import Cluster

FIO_SIZE = "4m"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return image.build(tmp_path_factory.mktemp("guest"), FIO_SIZE)


@pytest.mark.parametrize("aio", guest.AIO)
def test_a_guest_boots_twice_from(aio: str, images: tuple[Path, Path], shared: Cluster,
                                  name: str) -> None:
    disk = shared.create(name, "1GiB", "n1,n2")
    outcome = guest.boot(images, disk, aio, 360)
    assert outcome.passed, outcome.why()
    allocated = disk.stat().st_blocks * 512
    assert allocated < 512 << 20, "what the guest trimmed is still allocated"
    shared.verify(name)
    shared.delete(name)


def test_a_guest_does_not_notice_that_nodes_die_and_another_ukaid_takes_over(
        images: tuple[Path, Path], own: Cluster, name: str) -> None:
    disk = own.create(name, "1GiB", "n1,n2,n3")
    ended = threading.Event()
    taken_over: list[str] = []

    def trouble() -> None:
        for node in ("n2", "n1", "n3"):
            if ended.wait(8):
                return
            own.kill(node)
            time.sleep(2)
            own.start(node)
            own.wait_healthy(name)
            if not ended.is_set():
                own.devcluster("takeover", "h1")
                taken_over.append(node)

    thread = threading.Thread(target=trouble)
    thread.start()
    outcome = guest.boot(images, disk, "native", 360)
    ended.set()
    thread.join()
    assert outcome.passed, outcome.why()
    assert taken_over
    own.wait_healthy(name)
    own.verify(name)
    boots_from_a_clone(images, own, name)


def boots_from_a_clone(images: tuple[Path, Path], cluster: Cluster, name: str) -> None:
    """Once, with the files that another guest had made; meanwhile the parent is deleted."""
    clone = f"{name}-c"
    cluster.ctl("clone", name, clone)
    parent = threading.Timer(5, cluster.delete, [name])
    parent.start()
    outcome = guest.boot(images, cluster.mount() / clone, "native", 360)
    parent.join()
    assert outcome.passed, outcome.why()
    assert "GUEST first boot" not in outcome.lines
    cluster.ukaictl("disk", "info", name, status=3)
    cluster.verify(clone)
    cluster.delete(clone)
