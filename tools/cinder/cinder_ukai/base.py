# SPDX-License-Identifier: BSD-2-Clause
"""What the parts of the driver share: names, ukaictl, errors in Cinder's words."""
from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Optional, TypeVar

from oslo_log import log as logging
from oslo_utils import excutils

from cinder import context
from cinder import exception
from cinder import objects
from cinder.volume import driver
from cinder.volume import volume_utils

from cinder_ukai import connection
from cinder_ukai import ctl
from cinder_ukai import options
from cinder_ukai import placement
from cinder_ukai import stats

LOG = logging.getLogger(__name__)

VOLUME_NOTE = "cinder.volume_id"
BUSY_TRIES = 15  # a file's RELEASE reaches ukaid some time after close() has returned
BUSY_PAUSE_SECONDS = 1.0

Outcome = TypeVar("Outcome")


def patiently(work: Callable[[], Outcome]) -> Outcome:
    """Again while the disk is busy, for a bounded time."""
    for _turn in range(BUSY_TRIES - 1):
        try:
            return work()
        except ctl.Busy:
            time.sleep(BUSY_PAUSE_SECONDS)
    return work()


@contextmanager
def volume_errors(volume: Any) -> Iterator[None]:
    """ukaictl's failures as what Cinder expects of an operation on a volume."""
    try:
        yield
    except ctl.NotFound as failure:
        raise exception.VolumeNotFound(message=str(failure)) from failure
    except ctl.Busy as failure:
        raise exception.VolumeIsBusy(message=str(failure), volume_name=volume.name) from failure


@contextmanager
def snapshot_errors(snapshot: Any) -> Iterator[None]:
    """The same of an operation on a snapshot."""
    try:
        yield
    except ctl.NotFound as failure:
        raise exception.SnapshotNotFound(message=str(failure)) from failure
    except ctl.Busy as failure:
        raise exception.SnapshotIsBusy(message=str(failure),
                                       snapshot_name=snapshot.name) from failure


def snap_name(snapshot: Any) -> str:
    """A managed snapshot keeps the name that it had."""
    return str(snapshot.provider_id or snapshot.name)


def file_of(snapshot: Any) -> str:
    """DISK@SNAP: its name for ukaictl, and its file on the mount."""
    return f"{snapshot.volume.name}@{snap_name(snapshot)}"


def specs_of(volume_type: Any) -> Mapping[str, str]:
    return (volume_type.extra_specs or {}) if volume_type else {}


class UkaiBase(driver.VolumeDriver):
    """The state of the driver; all but the leftovers is constant after do_setup()."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(options.ukai_opts)
        self._ukai: ctl.Ukaictl
        self._hosts: connection.Hosts
        self._grants: connection.Grants
        self._leftovers: dict[str, str] = {}  # by the volume's id

    # -- names and places

    def _pool(self, host: Optional[str], nodes: list[placement.Node]) -> str:
        """The pool of HOST@BACKEND#POOL; the only one when it names none."""
        pool = volume_utils.extract_host(host, "pool") if host else None
        return str(pool or stats.pool_names(self.configuration.ukai_sites, nodes)[0])

    def _nodes(self) -> list[placement.Node]:
        return [placement.Node.of(entry) for entry in self._ukai.nodes()]

    def _placement(self, volume_type: Any, pool: str,
                   replicas: Optional[int] = None) -> placement.Placement:
        """`replicas` is for types that do not say; not given: our own option."""
        return placement.parse(specs_of(volume_type), pool,
                               replicas or self.configuration.ukai_replicas)

    def _here(self) -> ctl.Document:
        """The entry of `host list` of the machine that this service runs on."""
        return self._hosts.find({"host": socket.gethostname()})

    # -- a disk of ours

    def _adopt(self, volume: Any) -> None:
        """Marks a disk as a volume's, and shuts it to all hosts."""
        self._grants.close(volume.name)
        self._ukai.note(volume.name, {VOLUME_NOTE: volume.id})

    @contextmanager
    def _made(self, volume: Any) -> Iterator[None]:
        """A new disk is made within. If that fails, the disk goes, now or with a later sweep: the
        scheduler may forget which back end had begun on it. A name that was taken stays."""
        try:
            yield
        except ctl.AlreadyExists:
            raise
        except Exception:
            with excutils.save_and_reraise_exception():
                try:
                    patiently(lambda: self._ukai.delete(volume.name))
                except ctl.UkaiError as failure:
                    LOG.error("Disk %s is left behind for now: %s", volume.name, failure)
                    self._leftovers[volume.id] = volume.name

    def _sweep(self) -> None:
        """Deletes what could not be deleted when making it had failed, unless a later try has made
        the volume after all."""
        for volume_id, name in list(self._leftovers.items()):
            try:
                volume = objects.Volume.get_by_id(context.get_admin_context(), volume_id)
                wanted = bool(volume.host)
            except exception.VolumeNotFound:
                wanted = False
            if not wanted:
                self._ukai.delete(name)
            del self._leftovers[volume_id]
