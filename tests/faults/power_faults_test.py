# SPDX-License-Identifier: BSD-2-Clause
"""A node's power is cut at each moment there is. F5 of the project's list of faults.

The node's file system lies on a device that notes every write and flush. A guest writes and
flushes; then the device is made what it may have been at one moment after another, and each time
the node must start on it and everything be read: what had been flushed, and nothing that was never
written.
"""
from __future__ import annotations

import os
import random
import shutil
import uuid
from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

from cluster import Cluster, run
from files import MIB, loop_device
from ledger import UNIT, Ledger, make_unit
from write_log import LoggedDevice, WriteLog

NewCluster = Callable[..., Cluster]
DEVICE = 512 * MIB  # a node leaves 256 MiB free
DISK = 8 * MIB
WRITES_A_FLUSH = 12
SEED = 5


@dataclass
class Promise:
    """From this byte of the log on, all this is there; nothing is that was not issued yet."""

    position: int
    flushed: "array[int]"  # sequence number by unit


class Guest:
    """Writes single units and flushes; knows what it was promised when."""

    def __init__(self, device: LoggedDevice, file: Path) -> None:
        self._device = device
        self._file = file
        self.promises: list[Promise] = []
        self.issued: list[tuple[int, int, int]] = []  # position, unit, sequence number

    def run(self, flushes: int) -> None:
        dice = random.Random(SEED)
        current = array("Q", bytes(8 * (DISK // UNIT)))
        fd = os.open(self._file, os.O_RDWR)
        try:
            for sequence in range(1, flushes * WRITES_A_FLUSH + 1):
                # A few units again and again, others once.
                unit = dice.randrange(40 if dice.random() < 0.5 else DISK // UNIT)
                self.issued.append((self._device.position(), unit, sequence))
                os.pwrite(fd, make_unit(SEED, unit, sequence), unit * UNIT)
                current[unit] = sequence
                if sequence % WRITES_A_FLUSH == 0:
                    os.fsync(fd)
                    self.promises.append(Promise(self._device.position(), current[:]))
        finally:
            os.close(fd)

    def ledger_at(self, position: int) -> Ledger:
        """What a cut after so much of the log may leave."""
        ledger = Ledger(SEED, DISK // UNIT)
        for issued, unit, sequence in self.issued:
            if issued < position:
                ledger.issue(unit, sequence, 0)
        for promise in self.promises:
            if promise.position <= position:
                ledger.flushed(promise.flushed, 0)
        ledger.lose_unflushed()
        return ledger


@contextmanager
def as_its_disk(cluster: Cluster, device: Path) -> Iterator[None]:
    """The node lives on the device for a while."""
    data = cluster.home("n1") / "data"
    with loop_device(device) as loop:
        run(["mount", "-t", "ext4", "-o", "noatime", loop, str(data)])
        try:
            yield
        finally:
            cluster.kill("n1")
            run(["umount", str(data)])


def copy(image: Path, to: Path) -> None:
    run(["cp", "--sparse=always", str(image), str(to)])


def read_all(file: Path, ledger: Ledger) -> None:
    fd = os.open(file, os.O_RDONLY)
    try:
        for unit in range(ledger.units):
            ledger.returned(unit, os.pread(fd, UNIT, unit * UNIT), ledger.least(unit), 0)
    finally:
        os.close(fd)
    assert not ledger.violations, ledger.violations


def test_f5_a_nodes_power_is_cut_at_each_moment(new_cluster: NewCluster, name: str, long: bool,
                                                tmp_path: Path) -> None:
    cluster = new_cluster("--nodes", "1", "--hosts", "1", "--plain")
    data, boot_id = cluster.home("n1") / "data", cluster.home("n1") / "boot_id"
    cluster.kill("n1")
    base, content = tmp_path / "base.img", tmp_path / "content.img"
    with base.open("wb") as made:
        made.truncate(DEVICE)
    run(["mkfs.ext4", "-q", "-F", "-J", "size=8", "-E", "lazy_itable_init=0,lazy_journal_init=0",
         str(base)])
    shutil.copytree(data, tmp_path / "before")
    copy(base, content)
    with LoggedDevice(tmp_path, content) as device:
        with as_its_disk(cluster, device.file):
            shutil.copytree(tmp_path / "before", data, dirs_exist_ok=True)
            run(["sync", "-f", str(data)])
            cluster.start("n1")
            file = cluster.create(name, str(DISK), "n1", "--block-size", "1MiB")
            guest = Guest(device, file)
            guest.run(60 if long else 25)
    log = WriteLog(device.log)
    image = tmp_path / "cut.img"
    copy(base, image)
    log.replay(image, len(log.entries))
    run(["cmp", str(image), str(content)])  # the log is understood
    first, last = guest.promises[0].position, guest.promises[-1].position
    moments = [index for index, entry in enumerate(log.entries, 1) if first <= entry.end <= last]
    dice = random.Random(SEED)
    # Right after a flush, and anywhere with any of what was not flushed.
    cuts = [(index, False) for index in moments if log.entries[index - 1].flush]
    cuts += [(index, True) for index in moments if not log.entries[index - 1].flush]
    assert len(cuts) > 100, "the device saw the guest's flushes"
    for index, chance in dice.sample(cuts, min(len(cuts), 300 if long else 4)):
        copy(base, image)
        log.replay(image, index, random.Random(index) if chance else None)
        boot_id.write_text(f"{uuid.uuid4()}\n")
        with as_its_disk(cluster, image):
            cluster.start("n1")
            print(f"after {index} of {len(log.entries)} requests, {chance=}")
            read_all(file, guest.ledger_at(log.entries[index - 1].end))
