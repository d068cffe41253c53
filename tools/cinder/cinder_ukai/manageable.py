# SPDX-License-Identifier: BSD-2-Clause
"""Disks and snapshots that were there before Cinder, and that outlive it."""
from __future__ import annotations

import math
from typing import Any, Optional

from oslo_utils import units

from cinder import exception
from cinder.i18n import _
from cinder.volume import volume_utils

from cinder_ukai import ctl
from cinder_ukai import placement
from cinder_ukai.base import VOLUME_NOTE, UkaiBase, file_of, snap_name, volume_errors

Reference = dict[str, str]


def _source(reference: Reference) -> str:
    name = reference.get("source-name", "")
    if not name or "@" in name or name.startswith("-"):
        raise exception.ManageExistingInvalidReference(
            existing_ref=reference, reason=_("it must be {'source-name': NAME}"))
    return name


def _gib(size_bytes: int) -> int:
    return math.ceil(float(size_bytes / units.Gi))


def _volume_id(name: str) -> Optional[str]:
    """The volume of Cinder's that a disk of this name is."""
    volume_id = volume_utils.extract_id_from_volume_name(name)
    return volume_id if volume_utils.check_already_managed_volume(volume_id) else None


class Manageable(UkaiBase):
    """The part of the driver that takes disks and snapshots into Cinder, and lets them go."""

    # -- disks

    def manage_existing_get_size(self, volume: Any, existing_ref: Reference) -> int:
        return _gib(self._found(existing_ref)["size_bytes"])

    def manage_existing(self, volume: Any, existing_ref: Reference) -> None:
        """Gives the disk the volume's name."""
        disk = self._found(existing_ref)
        if disk["holder"] or disk["open"]:
            raise exception.ManageExistingInvalidReference(
                existing_ref=existing_ref, reason=_("the disk is in use"))
        if _volume_id(disk["name"]):
            raise exception.ManageExistingAlreadyManaged(volume_ref=disk["name"])
        self._check_layout(volume, disk)
        with volume_errors(volume):
            self._ukai.rename(disk["name"], volume.name)
            self._adopt(volume)

    def _found(self, reference: Reference) -> ctl.Document:
        try:
            return self._ukai.disk(_source(reference))
        except ctl.NotFound as failure:
            raise exception.ManageExistingInvalidReference(
                existing_ref=reference, reason=failure.line) from failure

    def _check_layout(self, volume: Any, disk: ctl.Document) -> None:
        nodes = self._nodes()
        wish = self._placement(volume.volume_type, self._pool(volume.host, nodes))
        wanted = placement.choose(wish, nodes, disk["nodes"])
        if placement.moves(placement.Disk.of(disk), wish, wanted) != placement.Moves():
            raise exception.ManageExistingVolumeTypeMismatch(
                reason=_("the disk lies on %(nodes)s (%(replicas)d replicas, blocks of %(block)d "
                         "bytes), the pool and the volume's type ask for %(wish)s")
                % {"nodes": ", ".join(disk["nodes"]), "replicas": disk["replicas"],
                   "block": disk["block_size_bytes"], "wish": ", ".join(wanted)})

    def get_manageable_volumes(self, cinder_volumes: Any, marker: Any, limit: Any, offset: Any,
                               sort_keys: Any, sort_dirs: Any) -> Any:
        known = {volume["name"]: volume["id"] for volume in cinder_volumes}
        entries = []
        for disk in self._ukai.disks():
            cinder_id = known.get(disk["name"]) or _volume_id(disk["name"])
            why = _("already managed") if cinder_id else _("in use") if disk["holder"] else None
            entries.append({"reference": {"source-name": disk["name"]}, "cinder_id": cinder_id,
                            "size": _gib(disk["size_bytes"]), "safe_to_manage": not why,
                            "reason_not_safe": why, "extra_info": None})
        return volume_utils.paginate_entries_list(entries, marker, limit, offset, sort_keys,
                                                  sort_dirs)

    def unmanage(self, volume: Any) -> None:
        """Leaves the disk as an operator's own: open to any host, without our note."""
        with volume_errors(volume):
            self._ukai.note(volume.name, {VOLUME_NOTE: ""})
            self._grants.reopen(volume.name)

    # -- snapshots

    def manage_existing_snapshot_get_size(self, snapshot: Any, existing_ref: Reference) -> int:
        return _gib(self._found_snapshot(snapshot, existing_ref)["size_bytes"])

    def manage_existing_snapshot(self, snapshot: Any, existing_ref: Reference) -> dict[str, str]:
        """It keeps its name, in provider_id."""
        found = self._found_snapshot(snapshot, existing_ref)
        if found["name"] in (snap_name(other) for other in snapshot.volume.snapshots
                             if other.id != snapshot.id):
            raise exception.ManageExistingAlreadyManaged(volume_ref=found["name"])
        return {"provider_id": found["name"]}

    def _found_snapshot(self, snapshot: Any, reference: Reference) -> ctl.Document:
        name = _source(reference)
        try:
            snapshots = self._ukai.snapshots(snapshot.volume.name)
        except ctl.NotFound as failure:
            raise exception.ManageExistingInvalidReference(
                existing_ref=reference, reason=failure.line) from failure
        for found in snapshots:
            if found["name"] == name:
                return found
        raise exception.ManageExistingInvalidReference(
            existing_ref=reference, reason=_("disk %(disk)s has no snapshot %(snap)s")
            % {"disk": snapshot.volume.name, "snap": name})

    def get_manageable_snapshots(self, cinder_snapshots: Any, marker: Any, limit: Any, offset: Any,
                                 sort_keys: Any, sort_dirs: Any) -> Any:
        known = {file_of(snapshot): snapshot["id"] for snapshot in cinder_snapshots}
        entries = []
        for name in (disk["name"] for disk in self._ukai.disks() if _volume_id(disk["name"])):
            for snap in self._ukai.snapshots(name):
                cinder_id = known.get(f"{name}@{snap['name']}")
                entries.append({"reference": {"source-name": snap["name"]},
                                "cinder_id": cinder_id, "size": _gib(snap["size_bytes"]),
                                "safe_to_manage": cinder_id is None,
                                "reason_not_safe": _("already managed") if cinder_id else None,
                                "source_reference": {"source-name": name}, "extra_info": None})
        return volume_utils.paginate_entries_list(entries, marker, limit, offset, sort_keys,
                                                  sort_dirs)

    def unmanage_snapshot(self, snapshot: Any) -> None:
        """It stays as it is."""
