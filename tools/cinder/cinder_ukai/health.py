# SPDX-License-Identifier: BSD-2-Clause
"""Whether UKAI answers, and how its disks' replicas are, for Cinder to show."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oslo_log import log as logging
from oslo_service import loopingcall

from cinder import context
from cinder import exception
from cinder import objects

LOG = logging.getLogger(__name__)

NOTE = "ukai_replication"  # key in a volume's admin metadata
NOTE_CHARS_MAX = 255


class Watch:
    """Looks at UKAI again and again; `well` is what the last look found."""

    def __init__(self, look: Callable[[], None], seconds: int) -> None:
        self.well = True
        self._look = look
        self._seconds = seconds
        self._loop = loopingcall.FixedIntervalLoopingCall(self.once)
        self._running = False

    def start(self) -> None:
        if not self._running:
            self._running = True
            self._loop.start(self._seconds, initial_delay=self._seconds, stop_on_exception=False)

    def once(self) -> None:
        try:
            self._look()
        except exception.CinderException as failure:
            if self.well:
                LOG.error("UKAI cannot be used, the service reports itself down: %s", failure)
            self.well = False
        else:
            if not self.well:
                LOG.info("UKAI can be used again")
            self.well = True


def replication(disk: Mapping[str, Any]) -> str:
    """One line: healthy, or what is wrong."""
    why = "; ".join(disk["reasons"])
    return f"{disk['health']}: {why}"[:NOTE_CHARS_MAX] if why else str(disk["health"])


class ReplicationNotes:
    """Keeps the health of each volume's replicas in its admin metadata. The database is touched
    only when a disk's health has changed."""

    def __init__(self, database: Any, host: str) -> None:
        self._database = database
        self._host = host
        self._seen: dict[str, str] = {}

    def update(self, disks: Sequence[Mapping[str, Any]]) -> None:
        now = {disk["name"]: replication(disk) for disk in disks}
        changed = {name: text for name, text in now.items() if self._seen.get(name) != text}
        if changed:
            admin = context.get_admin_context()
            for volume in objects.VolumeList.get_all_by_host(admin, self._host):
                if volume.name in changed:
                    self._database.volume_admin_metadata_update(
                        admin, volume.id, {NOTE: changed[volume.name]}, False)
        self._seen = now
