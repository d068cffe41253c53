# SPDX-License-Identifier: BSD-2-Clause
"""A Cinder on a UKAI cluster as the tests see it: volumes by the REST API, data on the mounts."""
from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import glance
from api import Api, Refused, until
from cluster import Cluster
from stack import FAR_ZONE, Stack

MIB = 1 << 20
PIECE_BYTES = 2 * MIB
PIECES_AT = (0, 7 * MIB + 4096, 512 * MIB, 1022 * MIB)
NUMBER_AT = 5 * MIB
END_BYTES = 1024 * MIB  # what is beyond a volume's first size does not count


def fill(path: Path, seed: int) -> str:
    """Writes pieces all over the file, durably; the digest that it then has."""
    dice = random.Random(seed)
    with path.open("r+b") as target:
        for offset in PIECES_AT:
            target.seek(offset)
            target.write(dice.randbytes(PIECE_BYTES))
        target.flush()
        os.fsync(target.fileno())
    return digest(path)


def digest(path: Path) -> str:
    """Of the pieces that `fill` writes, and of what is before and behind them."""
    seen = hashlib.sha256()
    with path.open("rb") as source:
        for offset in PIECES_AT:
            begin = max(offset - MIB, 0)
            source.seek(begin)
            seen.update(source.read(min(PIECE_BYTES + 2 * MIB, END_BYTES - begin)))
    return seen.hexdigest()


def number(path: Path) -> int:
    """What a Guest wrote last."""
    with path.open("rb") as source:
        source.seek(NUMBER_AT)
        return int.from_bytes(source.read(4096), "little")


class Guest:
    """Writes a number that grows to one place of an attached volume, which `digest` leaves out,
    as long as it is asked to; `end` says how it went."""

    live: list["Guest"] = []

    def __init__(self, path: Path) -> None:
        Guest.live.append(self)
        self._file = os.open(path, os.O_RDWR)
        self._stop = threading.Event()
        self._failure: OSError | None = None
        self.count = 0
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        try:
            while not self._stop.wait(0.01):
                self.count += 1
                os.pwrite(self._file, self.count.to_bytes(4096, "little"), NUMBER_AT)
                os.fdatasync(self._file)
        except OSError as failure:
            self._failure = failure

    def end(self) -> None:
        """Checks that nothing failed, and that the last write is there."""
        self._stop.set()
        self._thread.join()
        try:
            if self._failure:
                raise self._failure
            assert int.from_bytes(os.pread(self._file, 4096, NUMBER_AT), "little") == self.count
            assert self.count > 0
        finally:
            self.leave()

    def leave(self) -> None:
        """Whatever has happened."""
        Guest.live.remove(self)
        self._stop.set()
        self._thread.join()
        os.close(self._file)


class Cloud:
    """Used by one test at a time. Types: both (2 replicas anywhere), near (n1, n2 by site), spread
    (n3, n4 by site), far (the second back end, in a zone of its own), striped."""

    def __init__(self, cluster: Cluster, stack: Stack) -> None:
        self.cluster = cluster
        self.stack = stack
        self.api = Api(stack.ports["api"])
        until(lambda: self.states() == {"up"}, "both back ends are up", 90)
        until(lambda: len(self.pools()) == 3, "the scheduler knows all pools", 90)
        types: dict[str, dict[str, str]] = {
            "both": {}, "near": {"ukai:sites": "dev/site1=1,dev/site2=1"},
            "spread": {"ukai:sites": "dev/site3=1,dev/site4=1"},
            "small_blocks": {"ukai:block_size": "1MiB"},
            "striped": {"ukai:stripe": "true", "ukai:replicas": "2"},
            "multi": {"multiattach": "<is> True"}}
        for name, specs in types.items():
            self.api.make_type(name, volume_backend_name="both", **specs)
        self.api.make_type("far", volume_backend_name="far",
                           **{"RESKEY:availability_zones": FAR_ZONE})
        self.api.make_type("anywhere")

    def states(self) -> set[str]:
        try:
            found = self.api.services("cinder-volume")
        except Refused:
            return set()  # the API finds no service yet
        return set(found.values()) if len(found) == 2 else set()

    def pools(self) -> dict[str, Any]:
        """What the scheduler knows of each."""
        pools = self.api.get("/scheduler-stats/get_pools?detail=1")["pools"]
        return {pool["name"]: pool["capabilities"] for pool in pools}

    # -- disks

    def name(self, volume: str) -> str:
        """Of the volume's disk."""
        name_id = self.api.volume(volume)["os-vol-mig-status-attr:name_id"]
        return f"volume-{name_id or volume}"

    def path(self, volume: str, host: str = "h1") -> Path:
        return self.cluster.mount(host) / self.name(volume)

    def info(self, volume: str) -> Any:
        return self.cluster.info(self.name(volume))

    def digest(self, volume: str) -> str:
        """As another host reads it."""
        return digest(self.path(volume, "h2"))

    @contextmanager
    def attached(self, volume: str, host: str = "h1") -> Iterator[Path]:
        attachment, info = self.api.attach(volume, host)
        yield Path(info["device_path"])
        self.api.detach(attachment)
        self.api.wait("volume", volume, "available")

    def filled(self, seed: int, **fields: Any) -> tuple[str, str]:
        """A new volume with data, and its digest."""
        volume = self.api.create(**{"volume_type": "both", **fields})
        with self.attached(volume) as path:
            return volume, fill(path, seed)

    def retype(self, volume: str, kind: str, policy: str = "never") -> None:
        self.api.action("volumes", volume, "os-retype",
                        {"new_type": kind, "migration_policy": policy})

    # -- images

    def image(self, name: str, data: Path, disk_format: str) -> str:
        """An image that Glance has."""
        folder = self.stack.folder / "images"
        image = str(uuid.uuid4())
        os.link(data, folder / image)
        (folder / f"{image}.json").write_text(json.dumps({
            **glance.NEW, "id": image, "name": name, "status": "active", "visibility": "public",
            "disk_format": disk_format, "container_format": "bare",
            "size": data.stat().st_size}))
        return image

    # -- nothing is leaked

    def in_ukai(self) -> set[str]:
        return {disk["name"] for disk in self.cluster.json("disk", "list")["disks"]}

    def in_cinder(self) -> set[str]:
        return {f"volume-{volume['os-vol-mig-status-attr:name_id'] or volume['id']}"
                for volume in self.api.volumes()}

    def check_lists(self, seconds: float = 60) -> None:
        """What Cinder lists is what UKAI has."""
        until(lambda: self.in_ukai() == self.in_cinder(), "the same disks as volumes", seconds,
              lambda: f"in UKAI only {self.in_ukai() - self.in_cinder()}, "
                      f"in Cinder only {self.in_cinder() - self.in_ukai()}")

    def snapshots_of(self, volume: str) -> set[str]:
        listed = self.cluster.json("snapshot", "list", self.name(volume))["snapshots"]
        return {snapshot["name"] for snapshot in listed}

    def empty(self) -> None:
        """Deletes all that a test has left, whatever its state."""
        for guest in list(Guest.live):
            guest.leave()
        for attachment in self.api.get("/attachments?all_tenants=1")["attachments"]:
            self.api.detach(attachment["id"])
        for snapshot in self.api.get("/snapshots?all_tenants=1")["snapshots"]:
            self.api.action("snapshots", snapshot["id"], "os-reset_status", {"status": "error"})
            self.api.delete_snapshot(snapshot["id"])
        strays = self._stray_snapshots()
        volumes = [volume["id"] for volume in self.api.volumes()]
        for volume in volumes:
            self.api.action("volumes", volume, "os-reset_status", {
                "status": "error", "attach_status": "detached", "migration_status": "none"})
            self.api.call("DELETE", f"/volumes/{volume}")
        for volume in volumes:
            self.api.wait_gone("volume", volume, 90)
        try:
            self.check_lists()
        except AssertionError:
            for name in self.in_ukai():  # so that the next test does not fail as well
                self.cluster.delete(name)
            raise
        assert not strays, f"in UKAI only: {strays}"

    def _stray_snapshots(self) -> list[str]:
        """Deletes the snapshots that Cinder has none of any more; which there were."""
        found = [f"{disk}@{snapshot['name']}" for disk in self.in_ukai()
                 for snapshot in self.cluster.json("snapshot", "list", disk)["snapshots"]]
        for snapshot in found:
            self.cluster.ctl("snapshot", "delete", snapshot)
        return found
