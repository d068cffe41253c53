# SPDX-License-Identifier: BSD-2-Clause
"""A disk passes from host to host while both have it open, as in a live migration."""
from __future__ import annotations

import errno
import os
import subprocess
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Callable, Iterator

import pytest

from cluster import Cluster
from files import background, error_of, fio_command, finish
from migration import Attachment

HAND_OVER_S = 0.2  # design.md 7; 0.02 is wanted
SLACK = 3.0  # CI's machine is slow and shared
NAMES = ("h1", "h2")


@pytest.fixture(name="disk")
def migratable(shared: Cluster, name: str) -> Iterator[Callable[[str], Path]]:
    """A disk that both hosts may have; its file on each."""
    shared.create(name, "16MiB", "n1,n2")
    shared.ctl("disk", "hosts", name, "--allow", "h1", "--allow", "h2")
    yield lambda host: shared.mount(host) / name
    shared.delete(name)


@pytest.fixture(name="opened")
def attachments() -> Iterator[Callable[..., Attachment]]:
    """Opens files; what a test leaves open is closed after it. The close of a dead one says so."""
    with ExitStack() as stack:
        def open_one(file: Path, activate: bool = False) -> Attachment:
            one = Attachment(file, activate)
            stack.callback(error_of, one.close)
            return one

        yield open_one


def test_the_destination_reads_what_the_source_has_written(
        shared: Cluster, name: str, disk: Callable[[str], Path],
        opened: Callable[..., Attachment]) -> None:
    source = opened(disk("h1"), True)
    epoch = shared.info(name)["lease"]["epoch"]
    destination = opened(disk("h2"))
    for number in range(50):
        source.write(1, b"%d." % number)
        assert destination.read(1, 4).startswith(b"%d." % number)
    os.fdatasync(destination.fd)  # nothing was written through it
    lease = shared.info(name)["lease"]
    assert (lease["holder"], lease["epoch"]) == ("h1", epoch), "an open takes nothing"


def test_only_hosts_that_are_both_allowed_pass_a_disk_on(
        shared: Cluster, name: str, disk: Callable[[str], Path],
        opened: Callable[..., Attachment]) -> None:
    source = opened(disk("h1"), True)
    shared.ctl("disk", "hosts", name, "--deny", "h1")
    assert error_of(lambda: os.open(disk("h2"), os.O_RDWR)) == errno.EBUSY
    source.inactivate()  # it is ready, and still has the disk
    assert error_of(lambda: os.open(disk("h2"), os.O_RDWR)) == errno.EBUSY
    source.activate()
    source.write(0, b"goes on")


@pytest.mark.parametrize("read_only", [False, True], ids=["blockdev", "auto-read-only"])
def test_the_disk_goes_over_at_the_first_change(
        shared: Cluster, name: str, disk: Callable[[str], Path],
        opened: Callable[..., Attachment], read_only: bool) -> None:
    took: list[float] = []
    running = opened(disk("h1"), True)
    old: list[Attachment] = []
    for turn in range(6):
        host = NAMES[(turn + 1) % 2]
        waiting = None if read_only else opened(disk(host))
        running.write(turn, b"last words %d" % turn)
        running.stop()
        if read_only:
            running.inactivate_read_only()
        else:
            running.inactivate()
            old.append(running)
        begin = time.monotonic()
        target = waiting or opened(disk(host))
        target.activate()
        if turn % 2:
            time.sleep(0.05)  # as QEMU does; the lease comes meanwhile
            begin = time.monotonic()
        target.write(7, b"first words %d" % turn)
        took.append(time.monotonic() - begin)
        for number in range(turn + 1):
            assert target.read(number, 12) == b"last words %d" % number
        for dead in old:
            assert error_of(partial(dead.write, 9, b"stale")) == errno.EIO
            assert error_of(dead.stop) == errno.EIO
            assert dead.read(7, 13) == b"first words %d" % turn, "reading goes on"
        assert shared.info(name)["holder"] == host
        running = target
    print(f"{name}: handed over in {[round(one * 1000, 1) for one in took]} ms")
    assert max(took) <= HAND_OVER_S * SLACK, took
    assert running.read(9, 5) == b"\0" * 5
    shared.verify(name)


def test_two_qemus_on_one_host_keep_each_other_out(disk: Callable[[str], Path]) -> None:
    line = ["qemu-system-x86_64", "-accel", "tcg", "-S", "-nodefaults", "-display", "none",
            "-qmp", "stdio", "-drive", f"file={disk('h1')},format=raw,cache=none,if=virtio"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout and b"QMP" in first.stdout.readline()  # it has the disk
        second = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                                check=False)
        first.kill()
    assert second.returncode == 1 and b"lock" in second.stderr, second


def test_a_cancelled_migration_changes_nothing(
        shared: Cluster, name: str, disk: Callable[[str], Path],
        opened: Callable[..., Attachment]) -> None:
    source = opened(disk("h1"), True)
    epoch = shared.info(name)["lease"]["epoch"]
    destination = opened(disk("h2"))
    source.write(1, b"before")
    assert destination.read(1, 6) == b"before"
    destination.close()
    source.write(1, b"after 1")
    # It may also be cancelled when the source is ready, before the destination has started.
    destination = opened(disk("h2"))
    source.stop()
    source.inactivate()
    destination.close()
    source.activate()
    source.write(1, b"after 2")
    source.stop()
    assert shared.info(name)["lease"]["epoch"] == epoch
    destination = opened(disk("h2"))
    assert destination.read(1, 7) == b"after 2"


@pytest.fixture(name="impatient")
def impatient_h2(shared: Cluster) -> Iterator[float]:
    """h2 waits this long for another host to be ready, instead of 30 s."""
    config = shared.home("h2") / "ukaid.toml"
    before = config.read_text()
    shared.kill("h2")
    config.write_text(before + '\n[disk]\nhand_over_wait = "1500ms"\n')
    shared.start("h2")
    yield 1.5
    shared.kill("h2")
    config.write_text(before)
    shared.start("h2")


def test_who_never_locks_keeps_the_disk_while_it_is_open(
        shared: Cluster, name: str, impatient: float, disk: Callable[[str], Path],
        opened: Callable[..., Attachment]) -> None:
    job = ("rw=randwrite", "bs=4k", "size=8m", "time_based", "runtime=4", "rate_iops=50")
    with background(fio_command(disk("h1"), *job)) as fio:
        time.sleep(1)
        destination = opened(disk("h2"))
        begin = time.monotonic()
        assert error_of(lambda: destination.write(3000, b"not yet")) == errno.EIO
        assert impatient <= time.monotonic() - begin < impatient + 4
        assert shared.info(name)["holder"] == "h1"
        finish(fio)
    destination.write(3000, b"now")  # nobody has it open there any more
    assert shared.info(name)["holder"] == "h2"
    destination.close()
