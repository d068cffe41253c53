# SPDX-License-Identifier: BSD-2-Clause
"""A way to ZooKeeper that breaks when it is told: a request gets there, its answer does not."""
from __future__ import annotations

import socket
import struct
import threading
from typing import Callable, Optional

_LENGTH = struct.Struct(">I")


def _exactly(of: socket.socket, size: int) -> Optional[bytes]:
    """None: it hung up."""
    parts = b""
    while len(parts) < size:
        try:
            part = of.recv(size - len(parts))
        except OSError:
            return None
        if not part:
            return None
        parts += part
    return parts


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        one.close()


class CuttingProxy:
    """Each answer is a packet with its length before it. `cuts(number)`, asked for each of them
    (counted from 1 since `restart`), says whether the connection ends instead of passing it on.
    A thread for each direction of each connection; `end` ends them."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._mutex = threading.Lock()
        self._open: set[socket.socket] = set()
        self.restart(lambda number: False)
        threading.Thread(target=self._accept, daemon=True).start()

    def restart(self, cuts: Callable[[int], bool]) -> None:
        with self._mutex:
            self._cuts = cuts
            self.answers = 0
            self.cut = 0

    def end(self) -> None:
        _close(self._listener)
        with self._mutex:
            rest = list(self._open)
        _close(*rest)

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:
                _close(client)
                continue
            with self._mutex:
                self._open |= {client, server}
            for work in (self._requests, self._answers):
                threading.Thread(target=work, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            try:
                part = client.recv(65536)
                if not part:
                    break
                server.sendall(part)
            except OSError:
                break
        _close(client, server)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        while (head := _exactly(server, _LENGTH.size)) is not None:
            body = _exactly(server, _LENGTH.unpack(head)[0])
            if body is None or self._is_cut():
                break
            try:
                client.sendall(head + body)
            except OSError:
                break
        _close(client, server)
        with self._mutex:
            self._open -= {client, server}

    def _is_cut(self) -> bool:
        with self._mutex:
            self.answers += 1
            cut = self._cuts(self.answers)
            self.cut += cut
            return cut
