# SPDX-License-Identifier: BSD-2-Clause
"""A wide area link between two sites of a dev cluster made with --netns.

In the namespace of each daemon the addresses of those at the other site are its own loopback's;
what connects there is carried on from outside, with the delay, the rate and the losses of the
link, which all connections share in each direction. ukaictl and the tests see no link.
"""
from __future__ import annotations

import asyncio
import ctypes
import hashlib
import json
import os
import random
import socket
import subprocess
import threading
import time
from typing import Any, Callable, Coroutine

from cluster import Cluster

CLONE_NEWNET = 0x40000000
CHUNK = 64 << 10
WINDOW_CHUNKS = 64  # under way in one direction of one connection
LOST_SECONDS = 0.2  # what a lost packet costs TCP


class Direction:
    """What goes one way, of all connections together."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.bytes_per_s = 0.0  # 0: no limit
        self.loss = 0.0  # of chunks
        self.up = True
        self.free_at = 0.0
        self.carried = 0
        self.dice = random.Random(1)

    async def turn(self, size: int) -> None:
        """Until the link has taken as much."""
        while not self.up:
            await asyncio.sleep(0.01)
        now = time.monotonic()
        if self.bytes_per_s:
            self.free_at = max(self.free_at, now) + size / self.bytes_per_s
            await asyncio.sleep(self.free_at - now)
        if self.loss and self.dice.random() < self.loss:
            await asyncio.sleep(LOST_SECONDS)
        self.carried += size


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                direction: Direction) -> None:
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WINDOW_CHUNKS)

    async def read() -> None:
        while True:
            data = await reader.read(CHUNK)
            if data:
                await direction.turn(len(data))
            await queue.put((time.monotonic() + direction.delay_s, data))
            if not data:
                return

    reading = asyncio.ensure_future(read())
    try:
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        reading.cancel()
        writer.close()


class Wan:
    """The link. Made after the cluster is up; `end` before it goes down."""

    def __init__(self, cluster: Cluster, one: list[str], other: list[str]) -> None:
        self.there = Direction()  # from `one` to `other`
        self.back = Direction()
        state = json.loads((cluster.folder / "cluster.json").read_text(encoding="utf-8"))
        self._daemons = state["daemons"]
        self._tag = hashlib.sha256(str(cluster.folder).encode()).hexdigest()[:6]  # as devcluster
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._servers: list[asyncio.AbstractServer] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        for near, far, out, back in ((one, other, self.there, self.back),
                                     (other, one, self.back, self.there)):
            for name in near:
                self._open(name, far, out, back)

    def set(self, delay_s: float = 0.0, bytes_per_s: float = 0.0, loss: float = 0.0) -> None:
        """Of each direction: a round trip takes twice the delay."""
        for direction in (self.there, self.back):
            direction.delay_s = delay_s
            direction.bytes_per_s = bytes_per_s
            direction.loss = loss

    def outage(self, down: bool) -> None:
        """Down: nothing passes; what is under way arrives later."""
        for direction in (self.there, self.back):
            direction.up = not down

    def break_connections(self) -> None:
        async def abort() -> None:
            for writer in list(self._writers):
                writer.transport.abort()
        self._run(abort())

    @property
    def carried(self) -> int:
        return self.there.carried + self.back.carried

    def end(self) -> None:
        async def close() -> None:
            for server in self._servers:
                server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
        self._run(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        os.close(self._home)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _within(self, namespace: str, make: Callable[[], socket.socket]) -> socket.socket:
        """A socket stays in the namespace that it was made in."""
        inside = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            if self._libc.setns(inside, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            return make()
        finally:
            self._libc.setns(self._home, CLONE_NEWNET)
            os.close(inside)

    def _open(self, name: str, far: list[str], out: Direction, back: Direction) -> None:
        namespace = f"ukai-{self._tag}-{name}"
        enter = ["nsenter", f"--net=/run/netns/{namespace}", "--"]
        # Only the daemon itself takes these addresses for its own.
        subprocess.run([*enter, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1"], check=True)
        for other in far:
            address = self._daemons[other]["address"]
            subprocess.run([*enter, "ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
            for key in ("port", "control_port"):
                port = int(self._daemons[other][key])
                if port == 0:
                    continue

                def listen(address: str = address, port: int = port) -> socket.socket:
                    listener = socket.socket()
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    listener.bind((address, port))
                    listener.listen(64)
                    listener.setblocking(False)
                    return listener

                self._run(self._serve(self._within(namespace, listen), address, port, out, back))

    async def _serve(self, listener: socket.socket, address: str, port: int, out: Direction,
                     back: Direction) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                far_reader, far_writer = await asyncio.open_connection(address, port)
            except OSError:
                writer.transport.abort()
                return
            for one in (writer, far_writer):
                one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._writers.add(one)
            await asyncio.gather(carry(reader, far_writer, out), carry(far_reader, writer, back),
                                 return_exceptions=True)
            self._writers.difference_update((writer, far_writer))

        self._servers.append(await asyncio.start_server(connected, sock=listener))
