# SPDX-License-Identifier: BSD-2-Clause
"""What a disk may hold: every sector says who wrote it when, and the ledger what was promised.

Writes to one unit (4 KiB) come one after the other, with a growing sequence number; so for each
sector there is a least number that a read may return (acknowledged, or returned before) and a
largest (issued). A sector of zeros has number 0.
"""
from __future__ import annotations

import dataclasses
import struct
import threading
import zlib
from array import array
from typing import Optional

SECTOR = 512
UNIT = 4096
SECTORS = UNIT // SECTOR
VIOLATIONS_MAX = 20

_HEADER = struct.Struct("<IIQQ")  # magic, disk, sector, sequence; filler; crc of all before it
_CRC = struct.Struct("<I")
_MAGIC = 0x554B4149
_FILLER = SECTOR - _HEADER.size - _CRC.size
_ZEROS = bytes(SECTOR)


def make_unit(disk: int, unit: int, sequence: int) -> bytes:
    filler = (struct.pack("<Q", sequence * 0x9E3779B97F4A7C15 % (1 << 64)) * SECTOR)[:_FILLER]
    parts = []
    for sector in range(unit * SECTORS, (unit + 1) * SECTORS):
        body = _HEADER.pack(_MAGIC, disk, sector, sequence) + filler
        parts += [body, _CRC.pack(zlib.crc32(body))]
    return b"".join(parts)


def sequence_of(disk: int, sector: int, data: bytes) -> int:
    """Raises ValueError when this was never written there."""
    if data == _ZEROS:
        return 0
    magic, of_disk, of_sector, sequence = _HEADER.unpack_from(data)
    if _CRC.unpack_from(data, SECTOR - _CRC.size)[0] != zlib.crc32(data[:-_CRC.size]):
        raise ValueError(f"sector {sector}: neither zeros nor whole: {data[:32].hex()}")
    if (magic, of_disk, of_sector) != (_MAGIC, disk, sector):
        raise ValueError(f"sector {sector} holds sector {of_sector} of disk {of_disk}")
    return int(sequence)


@dataclasses.dataclass
class Frozen:
    """What each sector of a snapshot, or of a clone of it, may have; and what it had."""

    least: "array[int]"
    most: "array[int]"
    seen: "Optional[array[int]]" = None


class Ledger:
    """Kept in the checker's memory, so that no fault of the system reaches it.

    Threads: safe from any; only one at a time writes a unit (the caller's lock).
    """

    def __init__(self, disk: int, units: int) -> None:
        self.disk = disk
        self.units = units
        self.violations: list[str] = []
        self._mutex = threading.Lock()
        self._least = array("Q", bytes(8 * units * SECTORS))  # by sector
        self._most = array("Q", bytes(8 * units * SECTORS))
        self._acked = array("Q", bytes(8 * units))  # by unit
        self._flushed = array("Q", bytes(8 * units))
        self._era = 0
        self._settled = array("Q")
        self._newest = 0  # issued
        # By unit, in their order: (sequence, the newest one issued when it was acknowledged)
        self._writes: list[list[tuple[int, int]]] = [[] for _ in range(units)]
        self._frozen: dict[str, Frozen] = {}

    @property
    def era(self) -> int:
        """Grows when another host has taken over; what an older era still does counts less."""
        return self._era

    def issue(self, unit: int, sequence: int, era: int) -> None:
        """Of an old era: it must not appear at all, so nothing is noted."""
        with self._mutex:
            if era == self._era:
                for sector in range(unit * SECTORS, (unit + 1) * SECTORS):
                    self._most[sector] = sequence
                self._newest = max(self._newest, sequence)

    def acked(self, unit: int, sequence: int, era: int) -> None:
        with self._mutex:
            if era != self._era:
                self._late_ack(unit, sequence)
                return
            self._acked[unit] = sequence
            self._writes[unit].append((sequence, self._newest))
            for sector in range(unit * SECTORS, (unit + 1) * SECTORS):
                self._least[sector] = max(self._least[sector], sequence)

    def acked_now(self) -> "array[int]":
        """What a flush that starts now covers."""
        with self._mutex:
            return self._acked[:]

    def flushed(self, covered: "array[int]", era: int) -> None:
        with self._mutex:
            if era == self._era:
                self._flushed = covered

    def least(self, unit: int) -> "array[int]":
        """Asked for before a read is sent."""
        return self._least[unit * SECTORS:(unit + 1) * SECTORS]

    def returned(self, unit: int, data: bytes, least: "array[int]", era: int,
                 settle: bool = False) -> None:
        """A read of the unit brought this. `settle`: nothing else may come from now on, since
        whoever wrote before this moment has been fenced."""
        with self._mutex:
            if era != self._era:
                return
            for index in range(SECTORS):
                sector = unit * SECTORS + index
                try:
                    sequence = sequence_of(
                        self.disk, sector, data[index * SECTOR:(index + 1) * SECTOR])
                except ValueError as error:
                    self._violated(str(error))
                    continue
                if not least[index] <= sequence <= self._most[sector]:
                    self._violated(f"sector {sector}: {sequence} is not within "
                                   f"{least[index]}..{self._most[sector]}")
                self._least[sector] = max(self._least[sector], sequence)
                if settle:
                    self._most[sector] = sequence

    def take_over(self) -> None:
        """Writes of earlier eras no longer count, unless the settling reads find them."""
        with self._mutex:
            self._era += 1

    def settled(self) -> None:
        with self._mutex:
            self._settled = self._least[:]

    def freeze(self, name: str) -> None:
        """A state called so is about to be frozen: it must have what has been promised by now."""
        with self._mutex:
            self._frozen[name] = Frozen(self._least[:], self._most[:])

    def froze(self, name: str) -> None:
        """It has been: it can have nothing that is issued from now on."""
        with self._mutex:
            frozen = self._frozen[name]
            frozen.most = array("Q", (max(pair) for pair in zip(frozen.most, self._most)))

    def returned_frozen(self, name: str, data: bytes) -> None:
        """All of the state. It never changes, and is one instant of the whole disk: it has what was
        acknowledged before any write that it has was issued."""
        with self._mutex:
            frozen, seen = self._frozen[name], array("Q")
            for sector in range(self.units * SECTORS):
                at = sector * SECTOR
                try:
                    seen.append(sequence_of(self.disk, sector, data[at:at + SECTOR]))
                except ValueError as error:
                    self._violated(f"{name}: {error}")
                    return
                if not frozen.least[sector] <= seen[sector] <= frozen.most[sector]:
                    self._violated(f"{name}: sector {sector}: {seen[sector]} is not within "
                                   f"{frozen.least[sector]}..{frozen.most[sector]}")
            if frozen.seen is not None and frozen.seen != seen:
                self._violated(f"{name} has changed")
            frozen.seen = seen
            self._is_one_instant(name, seen)

    def _is_one_instant(self, name: str, seen: "array[int]") -> None:
        newest = max(seen)
        for unit, writes in enumerate(self._writes):
            has = min(seen[unit * SECTORS:(unit + 1) * SECTORS])
            for sequence, issued in writes:
                if has < sequence and issued < newest:
                    self._violated(f"{name}: has {newest}, but of unit {unit} {has} instead of "
                                   f"{sequence}, which was acknowledged before")

    def lose_unflushed(self) -> None:
        """Every replica lost its power: only what was flushed is still owed."""
        with self._mutex:
            for unit in range(self.units):
                for sector in range(unit * SECTORS, (unit + 1) * SECTORS):
                    self._least[sector] = self._flushed[unit]

    def _late_ack(self, unit: int, sequence: int) -> None:
        """Fine when it took effect before the take-over, whose first reads then saw it."""
        sector = unit * SECTORS
        seen = self._settled if len(self._settled) else self._least
        if seen[sector] < sequence:
            self._violated(f"unit {unit}: {sequence} acknowledged by the old holder, but the new "
                           f"one found {seen[sector]}")

    def _violated(self, what: str) -> None:
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(what)
