# SPDX-License-Identifier: BSD-2-Clause
"""What the commands do: one method each."""
from __future__ import annotations

import fcntl
import os
import shlex
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional

from . import configs, network
from .errors import DevclusterError, UsageError
from .processes import Process
from .state import Daemon, State, load
from .stores import Store, mounted_at, release_loop_devices, unmount

# Ports when every daemon has its own address.
NETNS_ZK_PORT, NETNS_DATA_PORT, NETNS_CONTROL_PORT, NETNS_ELECTION_PORT = 2181, 7100, 7101, 7102
QUORUM_SECONDS = 60


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps two commands on one folder apart; the second waits."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def plan(folder: Path, sizes: tuple[int, int, int], local: bool, netns: bool,
         plain: bool) -> State:
    """A new cluster of (ZooKeepers, nodes, hosts), with addresses that are free now. Starts
    nothing."""
    zookeepers, nodes, hosts = sizes
    names = [("zk", "zk")]
    if zookeepers > 1:
        names = [(f"zk{number}", "zk") for number in range(1, zookeepers + 1)]
    names += [(f"n{number}", "node") for number in range(1, nodes + 1)]
    names += [(f"h{number}", "host") for number in range(1, hosts + 1)]
    subnet = network.free_subnet() if netns else ""
    ports = iter(network.free_ports(2 * len(names) + zookeepers))
    daemons: dict[str, Daemon] = {}
    for index, (name, kind) in enumerate(names):
        stores = kind == "node" or (kind == "host" and local)
        if netns:
            port = NETNS_ZK_PORT if kind == "zk" else NETNS_DATA_PORT
            daemons[name] = Daemon(name, kind, f"{subnet}.{10 + index}", port,
                                   NETNS_CONTROL_PORT, stores)
        else:
            daemons[name] = Daemon(name, kind, "127.0.0.1", next(ports), next(ports), stores)
        if kind == "zk" and zookeepers > 1:
            daemons[name].election_port = NETNS_ELECTION_PORT if netns else next(ports)
    return State(folder, nodes, hosts, local, netns, plain, subnet, daemons, zookeepers)


class Cluster:
    """The cluster of one folder."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.namespaces = network.Namespaces(state)

    def process(self, daemon: Daemon) -> Process:
        return Process(self.state.home(daemon), configs.config_path(self.state, daemon))

    def store(self, daemon: Daemon) -> Optional[Store]:
        if not daemon.stores:
            return None
        return Store(self.state.home(daemon), self.state.plain)

    def up(self) -> None:
        """Starts what does not run yet: all of it at first, or what has died since."""
        for daemon in self.state.daemons.values():
            configs.command(self.state, daemon)  # a missing binary is told before anything starts
        fresh = load(self.state.folder) is None
        self.state.save()
        try:
            if self.state.netns:
                self.namespaces.create()
            for daemon in self.state.daemons.values():
                self.state.home(daemon).mkdir(exist_ok=True)
                configs.write(self.state, daemon)
            for daemon in self.state.ensemble:
                self._start_process(daemon)
            for daemon in self.state.daemons.values():
                self.start(daemon)
        except (DevclusterError, OSError, KeyboardInterrupt):
            if fresh:
                self.down()
            raise
        self._write_env()

    def start(self, daemon: Daemon) -> None:
        """Returns when it serves. A paused one is continued, a running one left alone."""
        self._start_process(daemon)
        if daemon.kind == "zk":
            self._wait_quorum(daemon)

    def _wait_quorum(self, daemon: Daemon) -> None:
        """A ZooKeeper without a majority beside it cannot serve, and is not waited for."""
        running = [one for one in self.state.ensemble if self.process(one).state() == "running"]
        if 2 * len(running) <= len(self.state.ensemble):
            return
        deadline = time.monotonic() + QUORUM_SECONDS
        while not configs.in_quorum(daemon):
            if time.monotonic() > deadline:
                raise DevclusterError(f"{daemon.name} found no quorum in {QUORUM_SECONDS} s; see "
                                      f"{self.process(daemon).log}")
            time.sleep(0.05)

    def _start_process(self, daemon: Daemon) -> None:
        process = self.process(daemon)
        if process.state() == "paused":
            process.send(signal.SIGCONT)
        if process.state() == "running":
            return
        store = self.store(daemon)
        if store:
            store.attach()
        if daemon.kind == "host":
            mount_point = self.state.mount_point(daemon)
            unmount(mount_point)  # what a killed ukaid leaves: a mount that answers nobody
            mount_point.mkdir(exist_ok=True)
            (self.state.home(daemon) / "state").mkdir(exist_ok=True)
        prefix = self.namespaces.enter(daemon) if self.state.netns else []
        process.start(prefix + configs.command(self.state, daemon), configs.readiness(daemon))
        if daemon.kind == "host" and not mounted_at(self.state.mount_point(daemon)):
            raise DevclusterError(f"{daemon.name} says it is ready, but has mounted nothing")

    def down(self) -> None:
        """Ends everything and leaves no process, mount, loop device or namespace; the data stays.

        Works on whatever a crashed earlier run left.
        """
        daemons = list(self.state.daemons.values())
        for daemon in sorted(daemons, key=lambda d: ["host", "node", "zk"].index(d.kind)):
            process = self.process(daemon)
            if daemon.kind == "host":
                release_loop_devices(self.state.mount_point(daemon))
            if self.state.netns and self.namespaces.is_cut(daemon):
                process.kill()  # it could only wait for what it cannot reach
            process.stop()
            if daemon.kind == "host":
                unmount(self.state.mount_point(daemon))
            store = self.store(daemon)
            if store:
                store.detach()
        if self.state.netns:
            self.namespaces.remove()

    def kill(self, daemon: Daemon) -> None:
        self.process(daemon).kill()

    def signal(self, daemon: Daemon, number: signal.Signals) -> None:
        if not self.process(daemon).send(number):
            raise DevclusterError(f"{daemon.name} does not run")

    def takeover(self, daemon: Daemon) -> None:
        """Returns when the new process serves and the old one has ended."""
        if daemon.kind != "host":
            raise UsageError(f"{daemon.name} has no mount; takeover is for hosts")
        process = self.process(daemon)
        old = process.pid()
        prefix = self.namespaces.enter(daemon) if self.state.netns else []
        command = [*prefix, *configs.command(self.state, daemon), "--takeover"]
        try:
            process.start(command, configs.readiness(daemon))
        except DevclusterError:
            if old:
                process.pid_file.write_text(f"{old}\n")  # it goes on
            raise
        if old:
            process.wait_ended(old)

    def power_cut(self, daemon: Daemon) -> None:
        store = self.store(daemon)
        if store is None:
            raise UsageError(f"{daemon.name} keeps no data; power-cut is for nodes")
        if store.plain:
            raise UsageError("this cluster has plain data folders (up --plain): no power cuts")
        self.kill(daemon)
        store.cut_power()
        self.start(daemon)

    def set_link(self, daemon: Daemon, up: bool) -> None:
        if not self.state.netns:
            raise UsageError("cut and heal need a cluster made with up --netns")
        self.namespaces.set_link(daemon, up)

    def status(self) -> list[dict[str, str]]:
        rows = []
        for daemon in self.state.daemons.values():
            process = self.process(daemon)
            pid = process.pid()
            cut = self.state.netns and self.namespaces.is_cut(daemon)
            rows.append({
                "name": daemon.name,
                "kind": daemon.kind,
                "state": process.state(),
                "pid": str(pid) if pid else "-",
                "address": f"{daemon.address}:{daemon.port}",
                "link": "cut" if cut else "up",
                "log": str(process.log),
            })
        return rows

    def _write_env(self) -> None:
        lines = [f"export UKAI_METADATA={shlex.quote(self.state.metadata)}\n"]
        for daemon in self.state.daemons.values():
            if daemon.kind == "host":
                path = shlex.quote(str(self.state.mount_point(daemon)))
                lines.append(f"export UKAI_MOUNT_{daemon.name}={path}\n")
        (self.state.folder / "env").write_text("".join(lines))


def prepare(folder: Path, wanted: dict[str, Optional[int]]) -> Cluster:
    """The cluster of this folder: the saved one, or a new one of the wanted shape.

    `wanted` has zookeepers, nodes, hosts, local, netns, plain; None means "as it is", else the
    default.
    """
    saved = load(folder)
    if saved is not None:
        for key, value in wanted.items():
            has = getattr(saved, key)
            if value is not None and value != has:
                raise UsageError(f"{folder} has a cluster with {key}={has}; "
                                 "take another folder, or end this one with down --wipe")
        return Cluster(saved)
    strangers = [entry.name for entry in folder.iterdir() if entry.name != ".lock"]
    if strangers:
        raise UsageError(f"{folder} is not empty and has no cluster (it holds {strangers[0]})")
    if os.geteuid() != 0:
        raise DevclusterError("devcluster needs root: it mounts file systems")
    default = {"zookeepers": 1, "nodes": 2, "hosts": 1}
    zookeepers, nodes, hosts = (
        number if value is None else value
        for number, value in ((default[key], wanted[key]) for key in default))
    return Cluster(plan(folder, (zookeepers, nodes, hosts), bool(wanted["local"]),
                        bool(wanted["netns"]), bool(wanted["plain"])))
