# SPDX-License-Identifier: BSD-2-Clause
"""Says to a daemon what no daemon of ours would, by hand: data streams, and just enough
of HTTP/2 and gRPC."""
from __future__ import annotations

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_ACK = _END_STREAM = 1
_END_HEADERS = 4
QUIET_S = 0.3


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) \
        + struct.pack(">I", stream) + payload


def _text(value: str) -> bytes:
    raw = value.encode()
    assert len(raw) < 127
    return bytes([len(raw)]) + raw


def headers(path: str, extra: dict[str, str]) -> bytes:
    """Literal fields, never indexed, not compressed."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "test",
              "content-type": "application/grpc", "te": "trailers", **extra}
    return b"".join(b"\x10" + _text(key) + _text(value) for key, value in fields.items())


def message(payload: bytes, length: int = -1) -> bytes:
    """gRPC's own prefix; `length` may lie."""
    return b"\0" + struct.pack(">I", len(payload) if length < 0 else length) + payload


def record(payload: bytes, length: int = -1) -> bytes:
    """Of a data stream; `length` may lie."""
    return struct.pack("<I", len(payload) if length < 0 else length) + payload


def hello(identity: str = "", version: str = "1") -> bytes:
    """How a data stream begins."""
    return record(f"UKH{version}{identity}".encode())


def say(address: str, *parts: bytes) -> bytes:
    """Sends it all and returns what comes back until the daemon is silent or hangs up."""
    host, port = address.rsplit(":", 1)
    heard = b""
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.settimeout(QUIET_S)
        try:
            for part in parts:
                connection.sendall(part)
            while part := connection.recv(65536):
                heard += part
        except OSError:
            pass
    return heard


def call(address: str, path: str, body: bytes, **extra: str) -> bytes:
    """One gRPC call whose body is whatever it is."""
    return say(address, PREFACE + frame(_SETTINGS, 0, 0), frame(_SETTINGS, _ACK, 0)
               + frame(_HEADERS, _END_HEADERS, 1, headers(path, extra)),
               *[frame(_DATA, 0, 1, body[at:at + 16000]) for at in range(0, len(body), 16000)],
               frame(_DATA, _END_STREAM, 1))
