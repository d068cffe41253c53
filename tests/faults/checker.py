#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Reads and writes a disk at random, checks every sector, measures the longest I/O.

One process a disk, so that neither its ledger nor its clock shares a fate with the test or the
system. It obeys lines on standard input ("COMMAND ARGUMENT") and answers each with a line of JSON:

  report          counts, errors, violations and the longest I/O since the last `mark`
  mark            the same, and starts them anew
  pause | resume  pause answers when all threads are idle
  check           reads everything
  take-over FILE  the disk is FILE now (another host's, or a new mount): what was under way is in
                  doubt, is read twice, and then nothing of it may appear any more
  stale           writes one unit through the file of before the last take-over; the answer has
                  `stale`: the error's name, or "" when it was accepted
  freeze NAME     a snapshot is about to be taken; and then:
  froze NAME      it has been
  compare NAME FILE   FILE is that snapshot, or a clone of it: reads all, while the load goes on
  power-lost      every replica lost its power: only what was flushed is owed
  quit
"""
from __future__ import annotations

import argparse
import errno
import itertools
import json
import mmap
import os
import random
import sys
import threading
import time
from collections import Counter
from typing import Callable, Optional

from ledger import UNIT, Ledger, make_unit

OPEN_SECONDS = 60
ERROR_PAUSE_S = 0.05
UNITS_AT_ONCE = 4
CHECK_UNITS = 256


class Clocked:
    """How long each I/O takes. Threads: safe from any."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._under_way: dict[int, tuple[float, str]] = {}
        self.clear()

    def clear(self) -> None:
        with self._mutex:
            self._seconds: dict[str, list[float]] = {"read": [], "write": [], "flush": []}
            self._errors: Counter[str] = Counter()

    def run(self, kind: str, work: Callable[[], int]) -> bool:
        """False when it failed; the error is counted."""
        me, begin = threading.get_ident(), time.monotonic()
        self._under_way[me] = (begin, kind)
        failed = ""
        try:
            work()
        except OSError as error:
            failed = errno.errorcode.get(error.errno or 0, str(error))
        with self._mutex:
            del self._under_way[me]
            self._seconds[kind].append(time.monotonic() - begin)
            if failed:
                self._errors[f"{kind} {failed}"] += 1
        return not failed

    def report(self) -> dict[str, object]:
        with self._mutex:
            now = time.monotonic()
            waiting = [(kind, now - begin) for begin, kind in list(self._under_way.values())]
            ages = {kind: [age for of, age in waiting if of == kind] for kind in self._seconds}
            every = sorted(second for kind in self._seconds.values() for second in kind)
            return {
                "reads": len(self._seconds["read"]),
                "writes": len(self._seconds["write"]),
                "flushes": len(self._seconds["flush"]),
                "longest_s": {kind: round(max(ages[kind] + seconds, default=0.0), 3)
                              for kind, seconds in self._seconds.items()},
                "p99_s": round(every[len(every) * 99 // 100], 4) if every else 0.0,
                "under_way": len(waiting),
                "errors": dict(self._errors),
            }


class Era:
    """The threads that use one file, until another takes over."""

    def __init__(self, checker: "Checker", fd: int) -> None:
        self.checker = checker
        self.fd = fd
        self.number = checker.ledger.era
        self.over = False
        self.locks = [threading.Lock() for _ in range(checker.ledger.units)]
        options = checker.options
        jobs = [self._mixed] * options.threads + [self._flushes] * (not options.no_flush)
        self.threads = [threading.Thread(target=job, args=(random.Random(seed),), daemon=True)
                        for seed, job in enumerate(jobs, options.seed + 100 * self.number)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def _goes_on(self) -> bool:
        self.checker.running.wait()
        return not self.over

    def _mixed(self, dice: random.Random) -> None:
        buffer = mmap.mmap(-1, UNITS_AT_ONCE * UNIT)
        options = self.checker.options
        while self._goes_on():
            first = dice.choice(self.checker.starts)
            count = dice.choice((1, 1, 1, 2, UNITS_AT_ONCE))
            write = dice.random() < options.writes
            begin = time.monotonic()
            done = self._write(buffer, first, count) if write else self.read(buffer, first, count)
            time.sleep(ERROR_PAUSE_S if not done else
                       max(0.0, options.threads / options.iops + begin - time.monotonic()))

    def _write(self, buffer: mmap.mmap, first: int, count: int) -> bool:
        ledger, size = self.checker.ledger, count * UNIT
        units = range(first, first + count)
        for unit in units:
            self.locks[unit].acquire()
        try:
            sequence = next(self.checker.sequence)
            for unit in units:
                ledger.issue(unit, sequence, self.number)
            buffer[:size] = b"".join(make_unit(ledger.disk, unit, sequence) for unit in units)
            with memoryview(buffer) as whole, whole[:size] as part:
                done = self.checker.clock.run("write", lambda: _all(
                    os.pwritev(self.fd, [part], first * UNIT), size))
            if done:
                for unit in units:
                    ledger.acked(unit, sequence, self.number)
            return done
        finally:
            for unit in units:
                self.locks[unit].release()

    def read(self, buffer: mmap.mmap, first: int, count: int, settle: bool = False) -> bool:
        ledger, size = self.checker.ledger, count * UNIT
        least = [ledger.least(unit) for unit in range(first, first + count)]
        with memoryview(buffer) as whole, whole[:size] as part:
            done = self.checker.clock.run("read", lambda: _all(
                os.preadv(self.fd, [part], first * UNIT), size))
        if done:
            for index in range(count):
                ledger.returned(first + index, buffer[index * UNIT:(index + 1) * UNIT],
                                least[index], self.number, settle)
        return done

    def _flush(self) -> int:
        os.fsync(self.fd)
        return 0

    def _flushes(self, dice: random.Random) -> None:
        while self._goes_on():
            covered = self.checker.ledger.acked_now()
            if self.checker.clock.run("flush", self._flush):
                self.checker.ledger.flushed(covered, self.number)
            time.sleep(dice.uniform(0.1, 1.0))


def _all(done: int, wanted: int) -> int:
    if done != wanted:
        raise OSError(errno.EIO, f"{done} bytes instead of {wanted}")
    return done


class Checker:
    """The disk, its ledger and the era that is on."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.ledger = Ledger(options.seed, options.size // UNIT)
        self.clock = Clocked()
        self.sequence = itertools.count(1)
        self.running = threading.Event()
        block = options.block_size // UNIT
        blocks = options.blocks or range(options.size // options.block_size)
        self.starts = [unit for number in blocks
                       for unit in range(number * block, (number + 1) * block - UNITS_AT_ONCE)]
        self.blocks = [(number * block, block) for number in blocks]
        self.era = Era(self, _open(options.file))
        self.former = self.era

    def answer(self, command: str, argument: str) -> dict[str, object]:
        if command == "mark":
            answer = self.report()
            self.clock.clear()
            return answer
        if command in ("pause", "check"):
            self.running.clear()
            self._wait_idle()
            if command == "check":
                self._read_all(settle=False)
        elif command == "resume":
            self.running.set()
        elif command == "take-over":
            self._take_over(argument)
        elif command == "stale":
            return {**self.report(), "stale": self._write_stale()}
        elif command == "freeze":
            self.ledger.freeze(argument)
        elif command == "froze":
            self.ledger.froze(argument)
        elif command == "compare":
            self._compare(*argument.split(" ", 1))
        elif command == "power-lost":
            self.ledger.lose_unflushed()
        elif command != "report":
            raise ValueError(f"unknown command {command}")
        return self.report()

    def report(self) -> dict[str, object]:
        return {**self.clock.report(), "violations": self.ledger.violations}

    def _wait_idle(self) -> None:
        while self.clock.report()["under_way"]:
            time.sleep(0.01)
        time.sleep(0.05)

    def _take_over(self, file: str) -> None:
        self.era.over = True
        self.former = self.era
        fd = _open(file)
        self.ledger.take_over()
        self.era = Era(self, fd)
        for settle in (True, False):
            self._read_all(settle)
        self.ledger.settled()
        self.era.start()
        self.running.set()

    def _write_stale(self) -> str:
        buffer = mmap.mmap(-1, UNIT)
        unit = self.starts[0]
        buffer[:] = make_unit(self.ledger.disk, unit, next(self.sequence))
        try:
            os.pwritev(self.former.fd, [buffer], unit * UNIT)
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, str(error))
        return ""

    def _compare(self, name: str, file: str) -> None:
        with open(file, "rb", buffering=0) as frozen:
            parts = [frozen.read(CHECK_UNITS * UNIT)]
            while parts[-1]:
                parts.append(frozen.read(CHECK_UNITS * UNIT))
        self.ledger.returned_frozen(name, b"".join(parts))

    def _read_all(self, settle: bool) -> None:
        buffer = mmap.mmap(-1, CHECK_UNITS * UNIT)
        for first, count in self.blocks:
            for begin in range(first, first + count, CHECK_UNITS):
                if not self.era.read(buffer, begin, min(CHECK_UNITS, first + count - begin),
                                     settle):
                    raise OSError(errno.EIO, f"unit {begin} cannot be read: {self.report()}")


def _open(file: str) -> int:
    """Another host's lease may still stand."""
    deadline = time.monotonic() + OPEN_SECONDS
    while True:
        try:
            return os.open(file, os.O_RDWR | os.O_DIRECT)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Checks a disk under load; see its source.")
    parser.add_argument("file")
    parser.add_argument("--size", type=int, required=True, help="bytes")
    parser.add_argument("--block-size", type=int, default=4 << 20)
    parser.add_argument("--blocks", type=lambda text: [int(number) for number in text.split(",")],
                        help="use only these; default: all")
    parser.add_argument("--threads", type=int, default=6)
    parser.add_argument("--iops", type=int, default=400, help="of all threads together, at most")
    parser.add_argument("--writes", type=float, default=0.5, help="their share of the requests")
    parser.add_argument("--no-flush", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    checker: Optional[Checker] = None
    options = _options()
    for line in itertools.chain(["start"], sys.stdin):
        command, _, argument = line.strip().partition(" ")
        if command == "quit":
            break
        try:
            if checker is None:
                checker = Checker(options)
                checker.era.start()
                command = "resume"
            answer = checker.answer(command, argument)
        except (OSError, ValueError) as error:
            answer = {"failed": str(error)}
        print(json.dumps(answer), flush=True)
    os._exit(0)  # without waiting for threads that hang in a mount


if __name__ == "__main__":
    main()
