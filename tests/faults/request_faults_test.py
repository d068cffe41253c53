# SPDX-License-Identifier: BSD-2-Clause
"""Odd requests: of the guest (F26) and of strangers on the network (F32)."""
from __future__ import annotations

import os
import random
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

from cluster import Cluster
from files import MIB, PUNCH_HOLE, ZERO_RANGE, fallocate, pattern, read_at, write_at
from load import Load
from oracles import replicas_are_equal, space_is_accounted_for
from wire import PREFACE, call, hello, message, record, say

NewLoad = Callable[..., Load]
REQUEST_MAX = 70_000
LONG_OPERATIONS = 1_000_000
SHORT_SECONDS = 8.0
THREADS = 4
NODE_METHODS = ("Fence", "DirtyList", "Clean", "SetMissing", "Pull", "Hash", "DiskUsage")
HOST_METHODS = ("ChangeDisk", "YieldLease", "DiskStatus", "ScrubDisk", "VerifyDisk")
STRANGERS = 8  # at the same time
EVIL = b"never to be written "


class Model:
    """A part of the disk that one thread uses, and what must be in it. The parts' borders lie
    within sectors, so that neighbours share sectors and blocks but no byte."""

    def __init__(self, file: Path, begin: int, end: int, seed: int) -> None:
        self.fd = os.open(file, os.O_RDWR)
        self.begin = begin
        self.data = bytearray(end - begin)
        self.dice = random.Random(seed)
        self.operations = 0

    def step(self) -> None:
        size = min(int(self.dice.paretovariate(0.3)), REQUEST_MAX)
        at = self.dice.randrange(len(self.data) - size)
        kind = self.dice.random()
        if kind < 0.4:
            new = self.dice.randbytes(size)
            assert os.pwrite(self.fd, new, self.begin + at) == size
            self.data[at:at + size] = new
        elif kind < 0.8:
            assert os.pread(self.fd, size, self.begin + at) == self.data[at:at + size], (at, size)
        elif kind < 0.99:
            mode = PUNCH_HOLE if kind < 0.9 else ZERO_RANGE
            fallocate(self.fd, mode, self.begin + at, size)
            self.data[at:at + size] = bytes(size)
        else:
            os.fsync(self.fd)
        self.operations += 1

    def finish(self, file: Path) -> int:
        os.close(self.fd)
        assert read_at(file, self.begin, len(self.data)) == self.data
        return self.operations


def test_f26_random_operations_agree_with_a_model(cluster: Cluster, name: str, long: bool) -> None:
    file = cluster.create(name, "16MiB", "n1,n2", "--block-size", "256KiB")
    borders = [0, *(16 * MIB * part // THREADS + 4097 * part + 13 for part in range(1, THREADS)),
               16 * MIB]
    models = [Model(file, borders[part], borders[part + 1], part) for part in range(THREADS)]
    end = time.monotonic() + SHORT_SECONDS

    def run_one(model: Model) -> None:
        while (model.operations < LONG_OPERATIONS // THREADS if long
               else time.monotonic() < end):
            model.step()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run_one, models))
    done = sum(model.finish(file) for model in models)
    assert done >= (LONG_OPERATIONS if long else 1000), done
    replicas_are_equal(cluster, name)
    cluster.delete(name)
    space_is_accounted_for(cluster)


def _write_frame(disk: str, epoch: int, session: int, **lies: int) -> bytes:
    """A batch of one write, as docs/protocol.md has it, with some fields wrong."""
    payload = (EVIL * 30)[:512]
    field = {"magic": int.from_bytes(b"UKQ1", "little"), "n": 1, "length": 512, "payload": 512,
             "op": 2, "zero": 0, "offset": 0, "block": 0, **lies}
    return struct.pack("<II", field["magic"], field["n"]) + struct.pack(
        "<Q16sQQQQQQQIIBB6x", 7, bytes.fromhex(disk), epoch, session, 1 << 40, 1, field["block"],
        field["offset"], 0, field["length"], field["payload"], field["op"], field["zero"]) + payload


def _bad_batches(disk: str, epoch: int) -> list[bytes]:
    good = _write_frame(disk, epoch, 0)
    return [
        b"", b"UKQ1", good[:50], good[:-1], good + b"more",
        _write_frame(disk, epoch, 0),  # session 0 may only read
        _write_frame(disk, epoch - 1, 1),  # replayed from an earlier holder
        _write_frame(disk, epoch - 1, 1 << 60),
        _write_frame(disk, 1 << 63, 0),
        _write_frame(disk, epoch, 0, magic=0), _write_frame(disk, epoch, 0, n=0),
        _write_frame(disk, epoch, 0, n=65), _write_frame(disk, epoch, 0, n=0xFFFFFFFF),
        _write_frame(disk, epoch, 0, payload=0xFFFFFFFF), _write_frame(disk, epoch, 0, payload=0),
        _write_frame(disk, epoch, 0, length=0xFFFFFFFF),
        _write_frame(disk, epoch, 0, op=99), _write_frame(disk, epoch, 0, zero=1),
        _write_frame(disk, epoch, 0, offset=1 << 62),
        _write_frame(disk, epoch, 0, block=(1 << 64) - 1),
        _write_frame("ee" * 16, epoch, 1),  # a disk that does not exist
    ]


def test_f32_malformed_requests_change_nothing(cluster: Cluster, name: str, load: NewLoad,
                                               long: bool) -> None:
    file = cluster.create(name, "16MiB", "n1,n2")
    write_at(file, 0, pattern(16 * MIB))
    other = cluster.create(f"{name}-load", "16MiB", "n1,n2")
    disk, epoch = cluster.info(name)["id"], cluster.info(name)["epoch"]
    before = {key: daemon["pid"] for key, daemon in cluster.daemons().items()}
    node = next(node for node in cluster.json("node", "list")["nodes"] if node["id"] == "n1")
    data, control = node["data_address"], node["control_address"]
    host_control = cluster.json("host", "list")["hosts"][0]["control_address"]
    checker = load(other, 16 * MIB, "--iops", "200")
    dice = random.Random(32)
    right, known = {"ukai-protocol": "1", "ukai-to": "node/n1"}, hello("node/n1")
    wrongs = [hello("node/n2"), hello("node/n1", "9"), b"", hello("n" * 300),
              record(dice.randbytes(100))]
    rounds = [dice.randbytes(dice.randrange(1, 3000)) for _ in range(200 if long else 4)]
    with ThreadPoolExecutor(STRANGERS) as pool:
        said = [pool.submit(say, data, known, record(batch))
                for batch in _bad_batches(disk, epoch)]
        said += [pool.submit(say, data, wrong, record(_write_frame(disk, epoch, 1)))
                 for wrong in wrongs]
        said.append(pool.submit(say, data, known, record(b"x" * 100, 0xFFFFFFFF)))
        said.append(pool.submit(say, data, known, record(bytes(17 * MIB))))
        for garbage in rounds:
            for address in (data, control, host_control):
                said.append(pool.submit(say, address, garbage))
                said.append(pool.submit(say, address, PREFACE, garbage))
            said.append(pool.submit(say, data, known, record(garbage)))
            said.append(pool.submit(say, data, known, garbage))
            said += [pool.submit(call, control, f"/ukai.pb.NodeControl/{method}",
                                 message(garbage), **right) for method in NODE_METHODS]
            said += [pool.submit(call, host_control, f"/ukai.pb.HostControl/{method}",
                                 message(garbage), **{"ukai-protocol": "1"})
                     for method in HOST_METHODS]
        assert not any(EVIL in one.result() for one in said)
    assert {key: daemon["pid"] for key, daemon in cluster.daemons().items()} == before
    for store in cluster.folder.glob("n*/data/store/disks/*/*/*"):
        assert EVIL not in store.read_bytes(), store
    assert read_at(file, 0, 16 * MIB) == pattern(16 * MIB)
    checker.passes()
    checker.end()
    for each in (name, f"{name}-load"):
        cluster.wait_healthy(each)
        replicas_are_equal(cluster, each)
        cluster.delete(each)
    space_is_accounted_for(cluster)
