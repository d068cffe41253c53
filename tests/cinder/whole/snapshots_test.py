# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots and clones through the REST API."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from api import until
from cloud import Cloud, Guest, digest, fill, number

GIB = 1 << 30


def test_volume_of_a_snapshot_and_of_a_volume(cloud: Cloud) -> None:
    volume, old = cloud.filled(20)
    snapshot = cloud.api.snapshot(volume)
    assert cloud.snapshots_of(volume) == {f"snapshot-{snapshot}"}
    with cloud.attached(volume) as path:
        new = fill(path, 21)
    restored = cloud.api.create(snapshot_id=snapshot)
    clone = cloud.api.create(source_volid=volume, size=2)
    assert (cloud.digest(restored), cloud.digest(clone), cloud.digest(volume)) == (old, new, new)
    assert cloud.path(clone).stat().st_size == 2 * GIB
    assert cloud.info(clone)["allowed_hosts"] == ["nobody"]
    cloud.api.delete_snapshot(snapshot)
    cloud.api.delete(volume)
    assert (cloud.digest(restored), cloud.digest(clone)) == (old, new)
    cloud.check_lists()


def test_snapshot_of_a_volume_in_use(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(22)
    attachment, info = cloud.api.attach(volume, "h1")
    guest = Guest(Path(info["device_path"]))
    until(lambda: guest.count > 10, "the guest writes", 30)
    before = guest.count - 1  # that many are acknowledged
    snapshot = cloud.api.snapshot(volume)
    after = guest.count
    until(lambda: guest.count > after, "the guest goes on", 30)
    guest.end()
    frozen = cloud.cluster.mount("h2") / f"{cloud.name(volume)}@snapshot-{snapshot}"
    assert before <= number(frozen) <= after < number(cloud.path(volume, "h2"))
    restored = cloud.api.create(snapshot_id=snapshot)
    assert number(cloud.path(restored)) == number(frozen)
    assert [digest(frozen), cloud.digest(restored), cloud.digest(volume)] == [wanted] * 3
    cloud.api.detach(attachment)


def test_revert(cloud: Cloud) -> None:
    volume, old = cloud.filled(23)
    snapshot = cloud.api.snapshot(volume)
    with cloud.attached(volume) as path:
        assert fill(path, 24) != old
    cloud.api.action("volumes", volume, "revert", {"snapshot_id": snapshot})
    until(lambda: cloud.api.volume(volume)["status"] in ("available", "error"), "reverted", 60)
    assert cloud.api.volume(volume)["status"] == "available"
    assert cloud.digest(volume) == old
    assert cloud.snapshots_of(volume) == {f"snapshot-{snapshot}"}


def test_clone_lies_where_its_own_type_says(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(25, volume_type="near")
    clone = cloud.api.create(source_volid=volume, volume_type="spread")
    assert sorted(cloud.info(clone)["nodes"]) == ["n3", "n4"]
    assert (cloud.digest(clone), cloud.digest(volume)) == (wanted, wanted)


def test_retype_moves_a_volume_with_its_snapshots(cloud: Cloud) -> None:
    volume, old = cloud.filled(26, volume_type="near")
    snapshot = cloud.api.snapshot(volume)
    with cloud.attached(volume) as path:
        new = fill(path, 27)
    cloud.retype(volume, "spread")
    until(lambda: cloud.api.volume(volume)["volume_type"] == "spread", "retyped", 60)
    cloud.api.wait("volume", volume, "available")
    restored = cloud.api.create(snapshot_id=snapshot)
    assert (cloud.digest(volume), cloud.digest(restored)) == (new, old)


def test_cascade_deletes_the_snapshots_first(cloud: Cloud) -> None:
    volume, _digest = cloud.filled(28)
    for _turn in range(3):
        cloud.api.snapshot(volume)
    cloud.api.call("DELETE", f"/volumes/{volume}?cascade=True")
    cloud.api.wait_gone("volume", volume)
    cloud.check_lists()


@pytest.mark.long
def test_second_volume_of_an_image_is_a_clone(cloud: Cloud, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.touch()
    os.truncate(raw, GIB)
    wanted = fill(raw, 29)
    image = cloud.image("cached", raw, "raw")
    first = cloud.api.create(volume_type="both", imageRef=image)
    assert len(cloud.api.volumes()) == 2  # the cached one as well
    (cloud.stack.folder / "images" / image).write_bytes(b"")
    second = cloud.api.create(volume_type="both", imageRef=image)
    assert (cloud.digest(first), cloud.digest(second)) == (wanted, wanted)
    cloud.check_lists()


@pytest.mark.long
def test_snapshot_is_managed_and_let_go(cloud: Cloud) -> None:
    volume, old = cloud.filled(30)
    cloud.cluster.ctl("snapshot", "create", f"{cloud.name(volume)}@mine")
    made = cloud.api.post("/manageable_snapshots", {"snapshot": {
        "volume_id": volume, "ref": {"source-name": "mine"}}})["snapshot"]["id"]
    cloud.api.wait("snapshot", made, "available")
    restored = cloud.api.create(snapshot_id=made)
    assert cloud.digest(restored) == old
    cloud.api.action("snapshots", made, "os-unmanage", None)
    cloud.api.wait_gone("snapshot", made)
    assert cloud.snapshots_of(volume) == {"mine"}
    cloud.cluster.ctl("snapshot", "delete", f"{cloud.name(volume)}@mine")


@pytest.mark.long
@pytest.mark.parametrize("in_use", [False, True])
def test_backup_and_restore(cloud: Cloud, in_use: bool) -> None:
    volume, wanted = cloud.filled(31)
    if in_use:
        cloud.api.attach(volume, "h1")
        cloud.api.wait("volume", volume, "in-use")
    made = cloud.api.post("/backups", {"backup": {"volume_id": volume, "force": in_use}})
    backup = made["backup"]["id"]
    cloud.api.wait("backup", backup, "available", 180)
    target = cloud.api.create(volume_type="near")
    cloud.api.post(f"/backups/{backup}/restore", {"restore": {"volume_id": target}})
    cloud.api.wait("backup", backup, "available", 180)
    cloud.api.wait("volume", target, "available", 60)
    assert cloud.digest(target) == wanted
    assert cloud.snapshots_of(volume) == set()
    cloud.api.call("DELETE", f"/backups/{backup}")
    cloud.api.wait_gone("backup", backup)
