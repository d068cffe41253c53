# SPDX-License-Identifier: BSD-2-Clause
"""Addresses: free ports on loopback, or a network namespace for each daemon behind a bridge."""
from __future__ import annotations

import os
import random
import socket
import subprocess
from pathlib import Path

from .errors import DevclusterError
from .state import Daemon, State

# Below the range from which the kernel takes ports for outgoing connections, so that a port
# stays free while its daemon is down. Tests that run side by side have ranges of their own.
PORT_FIRST, PORT_LAST = map(int, os.environ.get("UKAI_DEVCLUSTER_PORTS", "20000-32000").split("-"))


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise DevclusterError(f"{' '.join(command)}: {done.stderr.strip() or 'failed'}")
    return done.stdout


def succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on now."""
    found: list[int] = []
    while len(found) < count:
        port = random.randint(PORT_FIRST, PORT_LAST)
        if port in found:
            continue
        with socket.socket() as probe:
            # As the daemons do; without it the port of a just closed connection would be refused.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found


def free_subnet() -> str:
    """The first three numbers of a /24 that no interface here has, from the benchmark range."""
    taken = run("ip", "-4", "-o", "addr", "show")
    for third in random.sample(range(256), 256):
        subnet = f"198.18.{third}"
        if f" {subnet}." not in taken:
            return subnet
    raise DevclusterError("no free network left in 198.18.0.0/16")


class Namespaces:
    """One network namespace a daemon, one bridge a cluster; the bridge has address .1, so that
    the machine itself (ukaictl, tests) reaches every daemon. Nothing is forwarded or routed."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.bridge = f"ukb{state.tag}"

    def name(self, daemon: Daemon) -> str:
        return f"ukai-{self.state.tag}-{daemon.name}"

    def link(self, daemon: Daemon) -> str:
        """The bridge's side of the daemon's cable."""
        return f"uk{self.state.tag}{daemon.name}"

    def enter(self, daemon: Daemon) -> list[str]:
        """The command prefix. It enters the network namespace alone: `ip netns exec` would also
        make a mount namespace, and nobody else would see the FUSE mount."""
        return ["nsenter", f"--net=/run/netns/{self.name(daemon)}", "--"]

    def create(self) -> None:
        """Makes what is not there yet."""
        if not Path(f"/sys/class/net/{self.bridge}").exists():
            run("ip", "link", "add", "name", self.bridge, "type", "bridge")
            run("ip", "addr", "add", f"{self.state.subnet}.1/24", "dev", self.bridge)
            run("ip", "link", "set", self.bridge, "up")
        for daemon in self.state.daemons.values():
            if not Path(f"/run/netns/{self.name(daemon)}").exists():
                self._create_one(daemon)

    def _create_one(self, daemon: Daemon) -> None:
        name, link = self.name(daemon), self.link(daemon)
        run("ip", "netns", "add", name)
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", link, "master", self.bridge, "up")
        run("ip", "-n", name, "addr", "add", f"{daemon.address}/24", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "-n", name, "link", "set", "lo", "up")

    def remove(self) -> None:
        """Removes all that `create` made, also what a crashed run left half made."""
        for daemon in self.state.daemons.values():
            succeeds("ip", "link", "del", self.link(daemon))
            succeeds("ip", "netns", "del", self.name(daemon))
        succeeds("ip", "link", "del", self.bridge)

    def set_link(self, daemon: Daemon, up: bool) -> None:
        run("ip", "link", "set", self.link(daemon), "up" if up else "down")

    def is_cut(self, daemon: Daemon) -> bool:
        flags = Path(f"/sys/class/net/{self.link(daemon)}/flags")
        return flags.exists() and not int(flags.read_text(), 16) & 1
