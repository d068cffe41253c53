#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes what the fuzz targets begin with: seeds.py FOLDER makes FOLDER/<target>/<seed>."""
import struct
import sys
from pathlib import Path

DISK_ID = "00112233445566778899aabbccddeeff"


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def number(field: int, value: int) -> bytes:
    """A protobuf field that is a number."""
    return varint(field << 3) + varint(value)


def text(field: int, value: bytes) -> bytes:
    """A protobuf field that is a string or a message."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def request(operation: int, payload: bytes) -> bytes:
    """A message with one request frame."""
    header = struct.pack("<Q16s7QIIB7x", 1, bytes(16), 1, 1, 1, 1, 0, 0, 0, max(len(payload), 4096),
                         len(payload), operation)
    if payload:
        header = header[:88 - 8] + struct.pack("<II", len(payload), len(payload)) + header[88:]
    return b"UKQ1" + struct.pack("<I", 1) + header + payload


def records() -> dict[str, bytes]:
    """Envelopes with messages; the first byte says where a disk's record ends."""
    member = text(1, b"n1")
    away = text(1, b"n2") + number(2, 1) + number(3, 1) + number(4, 5)
    disk = (b"UKR1D" + text(1, DISK_ID.encode()) + text(2, b"vm") + number(3, 64 << 20)
            + number(4, 4 << 20) + number(5, 1) + number(6, 1) + text(7, member) + text(7, away)
            + text(8, b"h1"))
    replicas = text(1, b"n1") + text(1, b"n2") + text(2, b"\0\0")
    run = number(1, 16) + number(2, 0) + number(3, 1)
    segment = b"UKR1M" + text(2, replicas) + text(3, run)
    hosts = text(1, DISK_ID.encode()) + text(5, text(1, b"h2"))
    out = {"disk-map": bytes([len(disk)]) + disk + segment,
           "disk-change": bytes([len(disk)]) + disk + hosts}
    for kind, body in {"C": text(1, DISK_ID.encode()), "I": text(1, DISK_ID.encode()),
                       "N": text(1, b"n1") + text(6, b"draining"), "A": text(1, b"boot"),
                       "H": text(1, b"h1"), "L": text(1, b"h1") + number(2, 1),
                       "T": text(1, DISK_ID.encode())}.items():
        out[f"kind-{kind}"] = b"\0UKR1" + kind.encode() + body
    return out


def seeds() -> dict[str, dict[str, bytes]]:
    """For each target the inputs that it begins with, by name."""
    session = b"epoch 3\nsession 1\ngeneration 1\nboot_id b\ncrashed 0\nflush_failed 0"
    record = struct.pack("<BB2sQQQ", 3, 2, b"n2", 0, 4, 1)
    reply = b"UKA1" + struct.pack("<IQIHBB", 1, 1, 4, 0, 0, 0) + b"data"
    config = b'a = "x"\nb = true\nc = 3\nd = "4MiB"\ne = "2s"\nf = ["x"]\ng = "y"\nh = "0660"\n' \
             b'[i]\nj = "k"\n'
    values = ["10G", "4MiB 64M", "5-9", "owner=me", "n1,n2", "500ms", "zk1:2181,[::1]:2181/ukai",
              DISK_ID, "64M n1,n2"]
    return {
        "frame": {"read": request(1, b""), "write": request(2, b"12345678"), "reply": reply},
        "record": records(),
        "file": {"session": b"\1" + session, "log": b"\1" + record, "torn": b"\0UKDL\1\0\0\0UKDB"},
        "text": {"config": config} | {f"value-{i}": v.encode() for i, v in enumerate(values)},
        "node": {"nothing": b"\0"},
    }


def main() -> None:
    """Writes them all."""
    for target, inputs in seeds().items():
        folder = Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in inputs.items():
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
