# SPDX-License-Identifier: BSD-2-Clause
"""What a dev cluster consists of, kept in D/cluster.json so that every later command finds it."""
from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Optional

from .errors import DevclusterError, UsageError

SCHEMA = 1


@dataclasses.dataclass
class Daemon:
    """One process. `address` is where it listens: loopback, or its own with --netns."""

    name: str
    kind: str  # "zk", "node" or "host"
    address: str
    port: int  # of ZooKeeper's clients, or of the data stream
    control_port: int
    stores: bool  # it keeps blocks under D/NAME/data
    election_port: int = 0  # of a ZooKeeper in an ensemble; its quorum's is control_port


@dataclasses.dataclass
class State:
    """The whole cluster. Constant after `up`."""

    folder: Path
    nodes: int
    hosts: int
    local: bool
    netns: bool
    plain: bool  # data in plain folders: faster to look at, no power cuts
    subnet: str  # "198.18.7" with netns, else ""
    daemons: dict[str, Daemon]
    zookeepers: int = 1
    store_fs: str = "ext4"  # of the nodes' data, unless plain

    @property
    def tag(self) -> str:
        """Short and different for each folder: part of namespace and interface names."""
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:6]

    @property
    def metadata(self) -> str:
        """What goes into UKAI_METADATA."""
        return ",".join(f"{one.address}:{one.port}" for one in self.ensemble)

    @property
    def ensemble(self) -> list[Daemon]:
        """The ZooKeeper servers: zk alone, or zk1, zk2, …"""
        return [daemon for daemon in self.daemons.values() if daemon.kind == "zk"]

    def daemon(self, name: str) -> Daemon:
        if name not in self.daemons:
            known = ", ".join(self.daemons)
            raise UsageError(f"no daemon '{name}' in {self.folder} (there are: {known})")
        return self.daemons[name]

    def home(self, daemon: Daemon) -> Path:
        return self.folder / daemon.name

    def mount_point(self, daemon: Daemon) -> Path:
        return self.home(daemon) / "mnt"

    def save(self) -> None:
        value = dataclasses.asdict(self)
        value["schema"] = SCHEMA
        value["folder"] = str(self.folder)
        path = self.folder / "cluster.json"
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(value, indent=2) + "\n")
        temporary.replace(path)


def load(folder: Path) -> Optional[State]:
    """The cluster that `up` made in this folder, or None."""
    path = folder / "cluster.json"
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_text())
        if value.pop("schema") != SCHEMA:
            raise DevclusterError(f"{path} was made by another version of devcluster; remove it")
        daemons = {name: Daemon(**daemon) for name, daemon in value.pop("daemons").items()}
        value["folder"] = folder
        return State(daemons=daemons, **value)
    except (ValueError, KeyError, TypeError) as error:
        raise DevclusterError(f"{path} is damaged ({error}); remove {folder}") from error


def must_load(folder: Path) -> State:
    state = load(folder)
    if state is None:
        raise UsageError(f"no cluster in {folder}; make one with: devcluster up --dir {folder}")
    return state
