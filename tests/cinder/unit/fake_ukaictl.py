# SPDX-License-Identifier: BSD-2-Clause
"""ukaictl as the driver sees it: the process boundary, with a small cluster behind it.

It takes the command line that processutils would run, and answers with what it would print, or
with the exit status and the line on stderr.
"""
from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Callable

from oslo_concurrency import processutils

GIB = 1 << 30
Document = dict[str, Any]


@dataclass
class Disk:
    size: int
    nodes: list[str]
    replicas: int
    striped: bool = False
    block_size: int = 4 << 20
    meta: dict[str, str] = field(default_factory=dict)
    hosts: list[str] = field(default_factory=list)
    holder: str | None = None
    lease_type: str = "guest"
    snapshots: dict[str, int] = field(default_factory=dict)
    health: str = "healthy"
    reasons: list[str] = field(default_factory=list)


class Failed(Exception):
    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


class FakeUkaictl:
    """Four nodes at two sites, two hosts."""

    def __init__(self) -> None:
        self.disks: dict[str, Disk] = {}
        self.nodes = {"n1": "jp/tokyo", "n2": "jp/tokyo", "n3": "jp/osaka", "n4": "jp/osaka"}
        self.down: set[str] = set()
        self.hosts = ["h1", "h2", "here"]
        self.busy_snapshots: set[str] = set()
        self.jobs: dict[str, Document] = {}
        self.job_states = ["running", "done"]
        self.retakes_lease = ""  # guest: the holder does, while it is on the list; job: always
        self.calls: list[list[str]] = []
        self._faults: list[tuple[str, int, str]] = []

    def fail(self, command: str, status: int, line: str, times: int = 1, after: int = 0) -> None:
        """Of the commands that begin so, `after` go well and the next `times` fail with this."""
        self._faults += [(command, 0, "")] * after + [(command, status, line)] * times

    def ran(self, command: str) -> list[str]:
        """The commands that begin so."""
        lines = [" ".join(call) for call in self.calls]
        return [line for line in lines if line.startswith(command)]

    def execute(self, *command: str, **_options: Any) -> tuple[str, str]:
        assert command[0] == "timeout" and "ukaictl" in command
        words = list(command[command.index("ukaictl") + 1:])
        while words[0].startswith("-"):  # the global options
            words = words[2:] if words[0] == "-o" else words[1:]
        self.calls.append(words)
        try:
            self._meet_fault(" ".join(words))
            document = self._answer(words)
        except Failed as failure:
            raise processutils.ProcessExecutionError(
                exit_code=failure.status, stderr=f"ukaictl: {failure}\n") from failure
        return (json.dumps({"schema": 1, **document}) if document is not None else ""), ""

    def _meet_fault(self, line: str) -> None:
        for fault in self._faults:
            if line.startswith(fault[0]):
                self._faults.remove(fault)
                if fault[1]:
                    raise Failed(fault[1], fault[2])
                return

    def _answer(self, words: list[str]) -> Document | None:
        for count in (2, 1):
            handler: Callable[..., Document | None] | None = getattr(
                self, "_" + "_".join(words[:count]), None)
            if handler:
                names = [word for word in words[count:] if not word.startswith("--")]
                options = [word for word in words[count:] if word.startswith("--")]
                return handler(*names, options=options)
        raise Failed(2, f"no such command: {' '.join(words)}")

    def _find(self, name: str) -> Disk:
        if name not in self.disks:
            raise Failed(3, f"there is no disk named '{name}'")
        return self.disks[name]

    @staticmethod
    def _values(options: list[str], key: str) -> list[str]:
        return [option.split("=", 1)[1] for option in options if option.startswith(f"--{key}=")]

    # -- the cluster

    def _node_list(self, options: list[str]) -> Document:
        return {"nodes": [
            {"id": name, "site": site, "up": name not in self.down, "damage": None,
             "admin_state": "active", "capacity_bytes": 100 * GIB,
             "free_bytes": None if name in self.down else (90 - number) * GIB}
            for number, (name, site) in enumerate(self.nodes.items())]}

    def _host_list(self, options: list[str]) -> Document:
        return {"hosts": [{"id": name, "mount_point": f"/mnt/{name}"} for name in self.hosts]}

    def _status(self, options: list[str]) -> Document:
        return {"metadata": {"servers": "zk2:2181,zk1:2181/prod"}}

    # -- disks

    def _shown(self, name: str, disk: Disk) -> Document:
        return {"name": name, "size_bytes": disk.size, "block_size_bytes": disk.block_size,
                "replicas": disk.replicas, "striped": disk.striped, "nodes": disk.nodes,
                "holder": disk.holder, "health": disk.health, "reasons": disk.reasons}

    def _disk_list(self, options: list[str]) -> Document:
        return {"disks": [self._shown(*item) for item in self.disks.items()]}

    def _disk_info(self, name: str, options: list[str]) -> Document:
        disk = self._find(name)
        lease = {"holder": disk.holder, "type": disk.lease_type} if disk.holder else None
        return {**self._shown(name, disk), "allowed_hosts": sorted(disk.hosts), "lease": lease,
                "meta": disk.meta, "open": None}

    def _disk_create(self, name: str, options: list[str]) -> Document:
        if name in self.disks:
            raise Failed(4, f"a disk named '{name}' exists already")
        nodes = self._values(options, "location")[0].split(",")
        replicas = self._values(options, "replicas")
        block = self._values(options, "block-size")
        meta = dict(note.split("=", 1) for note in self._values(options, "meta"))
        self.disks[name] = Disk(int(self._values(options, "size")[0]), nodes,
                                int(replicas[0]) if replicas else len(nodes),
                                "--stripe" in options, int(block[0]) if block else 4 << 20, meta)
        return {"name": name}

    def _disk_delete(self, name: str, options: list[str]) -> Document:
        disk = self.disks.get(name)
        if disk and disk.holder:
            raise Failed(5, f"disk {name} is open on host {disk.holder} (1 writers, 0 readers)")
        if disk and disk.snapshots:
            raise Failed(5, f"disk {name} has snapshots")
        return {"deleted": self.disks.pop(name, None) is not None}

    def _disk_resize(self, name: str, size: str, options: list[str]) -> Document:
        disk = self._find(name)
        if int(size) < disk.size:
            raise Failed(8, f"disk {name} has {disk.size} bytes; shrinking it would lose data")
        disk.size = int(size)
        return {"changed": True}

    def _disk_rename(self, name: str, new: str, options: list[str]) -> Document:
        self._find(name)
        if new in self.disks:
            raise Failed(4, f"a disk named '{new}' exists already")
        self.disks[new] = self.disks.pop(name)
        return {"changed": True}

    def _disk_set(self, name: str, options: list[str]) -> Document:
        for note in self._values(options, "meta"):
            key, value = note.split("=", 1)
            self._find(name).meta[key] = value
            if not value:
                del self._find(name).meta[key]
        return {"changed": True}

    def _disk_hosts(self, name: str, options: list[str]) -> Document:
        disk = self._find(name)
        allowed = set(disk.hosts) | set(self._values(options, "allow"))
        disk.hosts = sorted(allowed - set(self._values(options, "deny")))
        return {"allowed_hosts": disk.hosts}

    def _lease_release(self, name: str, options: list[str]) -> Document:
        assert options == ["--force"]
        disk = self._find(name)
        if self.retakes_lease != "job" and (not self.retakes_lease
                                            or disk.holder not in disk.hosts):
            disk.holder = None
        return {"released": True}

    # -- snapshots

    def _snapshot_create(self, which: str, options: list[str]) -> None:
        name, snap = which.split("@")
        if snap in self._find(name).snapshots:
            raise Failed(4, f"disk {name} has a snapshot {snap} already")
        self.disks[name].snapshots[snap] = self.disks[name].size

    def _snapshot_of(self, which: str) -> tuple[Disk, str]:
        name, snap = which.split("@")
        if snap not in self._find(name).snapshots:
            raise Failed(3, f"disk {name} has no snapshot named '{snap}'")
        return self.disks[name], snap

    def _snapshot_delete(self, which: str, options: list[str]) -> None:
        disk, snap = self._snapshot_of(which)
        if which in self.busy_snapshots:
            raise Failed(5, f"snapshot {which} is being read")
        del disk.snapshots[snap]

    def _snapshot_rollback(self, which: str, options: list[str]) -> None:
        self._snapshot_of(which)

    def _snapshot_list(self, name: str, options: list[str]) -> Document:
        return {"disk": name, "snapshots": [
            {"name": snap, "created_unix_s": 1, "size_bytes": size}
            for snap, size in self._find(name).snapshots.items()]}

    def _clone(self, source: str, new: str, options: list[str]) -> None:
        disk = self._snapshot_of(source)[0] if "@" in source else self._find(source)
        if new in self.disks:
            raise Failed(4, f"a disk named '{new}' exists already")
        self.disks[new] = Disk(disk.size, list(disk.nodes), disk.replicas, disk.striped,
                               disk.block_size)

    # -- moving

    def _start(self, name: str) -> Document:
        job = f"job-{len(self.jobs) + 1}"
        self.jobs[job] = {"job": job, "disk": name, "states": list(self.job_states)}
        return {"job": job, "state": "queued"}

    def _relocate(self, name: str, options: list[str]) -> Document:
        disk = self._find(name)
        disk.nodes.remove(self._values(options, "from")[0])
        disk.nodes += self._values(options, "to")[0].split(",")
        return self._start(name)

    def _replicate(self, name: str, options: list[str]) -> Document:
        disk = self._find(name)
        disk.nodes += [node for node in self._values(options, "to")[0].split(",")
                       if node not in disk.nodes]
        disk.replicas = len(disk.nodes)
        return self._start(name)

    def _location_remove(self, name: str, nodes: str, options: list[str]) -> Document:
        disk = self._find(name)
        disk.nodes = [node for node in disk.nodes if node not in nodes.split(",")]
        disk.replicas = len(disk.nodes)
        return {"changed": True}

    def _job_info(self, job: str, options: list[str]) -> Document:
        states = self.jobs[job]["states"]
        state = states.pop(0) if len(states) > 1 else states[0]
        return {"job": job, "state": state, "why": "node n3 is full" if state != "done" else None}

    def _job_cancel(self, job: str, options: list[str]) -> Document:
        self.jobs[job]["states"] = ["cancelled"]
        return {"job": job}
