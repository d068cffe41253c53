# SPDX-License-Identifier: BSD-2-Clause
"""Volumes through the REST API: made, written, moved, imaged, deleted."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from api import Refused, until
from cloud import MIB, Cloud, Guest, digest, fill
from stack import FAR_ZONE

GIB = 1 << 30


def may_write(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR))
        return True
    except PermissionError:
        return False


def test_pools_are_the_sites_with_their_room(cloud: Cloud) -> None:
    found = cloud.pools()
    assert set(found) == {"cinder@both#dev", "cinder@far#dev/site3", "cinder@far#dev/site4"}
    node = cloud.cluster.json("node", "list")["nodes"][0]
    assert found["cinder@far#dev/site3"]["total_capacity_gb"] == round(
        node["capacity_bytes"] / GIB, 2)
    assert found["cinder@both#dev"]["free_capacity_gb"] <= 2 * node["capacity_bytes"] / GIB


def test_volume_lies_where_its_type_says(cloud: Cloud) -> None:
    wanted = {"both": (2, False, 4 * MIB), "near": (2, False, 4 * MIB),
              "small_blocks": (2, False, MIB), "striped": (2, True, 4 * MIB),
              "far": (1, False, 4 * MIB)}
    for kind, layout in wanted.items():
        info = cloud.info(cloud.api.create(volume_type=kind))
        assert (info["replicas"], info["striped"], info["block_size_bytes"]) == layout, kind
        if kind == "near":
            assert sorted(info["nodes"]) == ["n1", "n2"]
    cloud.check_lists()


def test_volume_lies_in_its_zone(cloud: Cloud) -> None:
    volume = cloud.api.create(volume_type="anywhere", availability_zone=FAR_ZONE)
    shown = cloud.api.volume(volume)
    assert shown["availability_zone"] == FAR_ZONE
    assert shown["os-vol-host-attr:host"] in ("cinder@far#dev/site3", "cinder@far#dev/site4")
    assert cloud.info(volume)["nodes"] in (["n3"], ["n4"])
    clone = cloud.api.create(source_volid=volume)
    assert cloud.api.volume(clone)["availability_zone"] == FAR_ZONE
    failed = cloud.api.create("error", volume_type="both", availability_zone=FAR_ZONE)
    with pytest.raises(Refused, match="400"):
        cloud.api.create(volume_type="anywhere", availability_zone="nowhere")
    assert cloud.in_ukai() == {f"volume-{volume}", f"volume-{clone}"}
    cloud.api.delete(failed)


def test_multiattach_is_refused(cloud: Cloud) -> None:
    volume = cloud.api.create("error", volume_type="multi")
    assert cloud.in_ukai() == set()
    cloud.api.delete(volume)


def test_only_the_attached_host_may_write(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(1)
    h1, h2 = cloud.path(volume), cloud.path(volume, "h2")
    assert not may_write(h1) and not may_write(h2)
    first, info = cloud.api.attach(volume, "h1")
    assert info["driver_volume_type"] == "gpfs" and Path(info["device_path"]) == h1
    assert may_write(h1) and not may_write(h2)
    cloud.api.detach(first)
    cloud.api.wait("volume", volume, "available")
    assert not may_write(h1)
    assert cloud.digest(volume) == wanted
    with pytest.raises(Refused, match="no ukaid runs|500"):
        cloud.api.attach(volume, "elsewhere")


def test_both_hosts_may_write_during_a_live_migration(cloud: Cloud) -> None:
    """Nova's calls: initialize for the destination, then terminate for the source."""
    volume, wanted = cloud.filled(2)
    source = {"host": "h1", "ip": "127.0.0.1", "initiator": "iqn"}
    target = {**source, "host": "h2"}
    for connector in (source, target):
        cloud.api.action("volumes", volume, "os-initialize_connection", {"connector": connector})
    assert set(cloud.info(volume)["allowed_hosts"]) == {"h1", "h2", "nobody"}
    cloud.api.action("volumes", volume, "os-terminate_connection", {"connector": source})
    assert set(cloud.info(volume)["allowed_hosts"]) == {"h2", "nobody"}
    assert may_write(cloud.path(volume, "h2"))
    assert cloud.digest(volume) == wanted


def test_extends(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(3)
    cloud.api.action("volumes", volume, "os-extend", {"new_size": 2})
    until(lambda: cloud.path(volume).stat().st_size == 2 * GIB, "2 GiB on the mount", 30)
    cloud.api.wait("volume", volume, "available")
    assert cloud.digest(volume) == wanted


def test_extends_in_use_through_the_bind_mount(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(4, volume_type="far")
    attachment, info = cloud.api.attach(volume, "h1")
    assert info["driver_volume_type"] == "nfs" and info["options"] == "-o bind"
    cloud.api.wait("volume", volume, "in-use")
    cloud.api.action("volumes", volume, "os-extend", {"new_size": 2})
    until(lambda: cloud.path(volume).stat().st_size == 2 * GIB, "2 GiB on the mount", 30)
    cloud.api.wait("volume", volume, "in-use")
    assert cloud.digest(volume) == wanted
    cloud.api.detach(attachment)


def test_retype_moves_a_volume_in_use(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(5, volume_type="near")
    attachment, info = cloud.api.attach(volume, "h1")
    guest = Guest(Path(info["device_path"]))
    cloud.retype(volume, "spread")
    until(lambda: cloud.api.volume(volume)["volume_type"] == "spread", "retyped", 60)
    cloud.api.wait("volume", volume, "in-use")
    guest.end()
    assert sorted(cloud.info(volume)["nodes"]) == ["n3", "n4"]
    cloud.cluster.verify(cloud.name(volume))
    cloud.api.detach(attachment)
    cloud.api.wait("volume", volume, "available")
    assert cloud.digest(volume) == wanted


def test_migrates_to_another_back_end_without_copying_through_here(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(6, volume_type="anywhere", availability_zone="nova")
    there = "cinder@far#dev/site3"
    cloud.api.action("volumes", volume, "os-migrate_volume", {"host": there})
    until(lambda: cloud.api.volume(volume)["os-vol-host-attr:host"] == there, "moved", 60)
    info = cloud.info(volume)
    assert info["nodes"] == ["n3"] and info["name"] == f"volume-{volume}"
    assert cloud.api.volume(volume)["availability_zone"] == FAR_ZONE
    assert cloud.digest(volume) == wanted


@pytest.mark.long
def test_migrates_by_a_copy_when_forced_to(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(7, volume_type="anywhere")
    here = cloud.api.volume(volume)["os-vol-host-attr:host"]
    there = "cinder@both#dev" if "far" in here else "cinder@far#dev/site3"
    cloud.api.action("volumes", volume, "os-migrate_volume",
                     {"host": there, "force_host_copy": True})
    until(lambda: cloud.api.volume(volume)["os-vol-host-attr:host"] == there
          and len(cloud.api.volumes()) == 1, "copied", 120)
    cloud.api.wait("volume", volume, "available")
    assert cloud.digest(volume) == wanted
    cloud.check_lists()


def test_retype_that_cannot_be_a_move_is_refused(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(8)
    cloud.retype(volume, "small_blocks")
    cloud.api.wait("volume", volume, "available")
    assert cloud.api.volume(volume)["volume_type"] == "both"
    assert cloud.digest(volume) == wanted


@pytest.mark.long
def test_retype_that_cannot_be_a_move_is_a_copy(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(9)
    cloud.retype(volume, "small_blocks", "on-demand")
    until(lambda: cloud.api.volume(volume)["volume_type"] == "small_blocks"
          and len(cloud.api.volumes()) == 1, "copied", 120)
    assert cloud.info(volume)["block_size_bytes"] == MIB
    assert cloud.digest(volume) == wanted


@pytest.mark.parametrize("disk_format", ["raw", pytest.param("qcow2", marks=pytest.mark.long)])
def test_image_to_volume_and_back(cloud: Cloud, tmp_path: Path, disk_format: str) -> None:
    source, raw = tmp_path / "source", tmp_path / "raw"
    raw.touch()
    os.truncate(raw, GIB)
    wanted = fill(raw, 10)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", disk_format, raw, source],
                   check=True)
    volume = cloud.api.create(volume_type="both", imageRef=cloud.image("i", source, disk_format))
    assert cloud.digest(volume) == wanted
    assert cloud.info(volume)["allowed_hosts"] == ["nobody"]
    made = cloud.api.post(f"/volumes/{volume}/action", {"os-volume_upload_image": {
        "image_name": "back", "force": False, "disk_format": disk_format,
        "container_format": "bare"}})["os-volume_upload_image"]
    cloud.api.wait("volume", volume, "available", 120)
    back = cloud.stack.folder / "images" / made["image_id"]
    subprocess.run(["qemu-img", "convert", "-f", disk_format, "-O", "raw", back, raw], check=True)
    assert digest(raw) == wanted


@pytest.mark.long
def test_image_that_does_not_fit_leaves_nothing(cloud: Cloud, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.touch()
    os.truncate(raw, 2 * GIB)
    image = cloud.image("large", raw, "raw")
    with pytest.raises(Refused, match="larger than the volume|too small|size"):
        cloud.api.create(volume_type="both", imageRef=image)
    cloud.check_lists()


@pytest.mark.long
def test_volume_is_encrypted(cloud: Cloud) -> None:
    made = cloud.api.post("/types", {"volume_type": {"name": "luks", "extra_specs": {
        "volume_backend_name": "both"}}})["volume_type"]["id"]
    cloud.api.post(f"/types/{made}/encryption", {"encryption": {
        "provider": "luks", "cipher": "aes-xts-plain64", "key_size": 256,
        "control_location": "front-end"}})
    volume = cloud.api.create(volume_type="luks")
    assert cloud.path(volume).open("rb").read(6) == b"LUKS\xba\xbe"
    assert cloud.path(volume).stat().st_size == GIB


def test_disk_is_managed_and_let_go(cloud: Cloud) -> None:
    cloud.cluster.create("old-disk", "1GiB", "n1,n2")
    wanted = fill(cloud.cluster.mount() / "old-disk", 11)
    until(lambda: cloud.cluster.info("old-disk")["holder"] is None
          or not cloud.cluster.info("old-disk")["open"]["writers"], "closed", 20)
    cloud.cluster.ctl("lease", "release", "old-disk", "--force")
    listed = cloud.api.get("/manageable_volumes/detail?host=cinder@both%23dev")
    assert [entry["safe_to_manage"] for entry in listed["manageable-volumes"]] == [True]
    made = cloud.api.post("/manageable_volumes", {"volume": {
        "host": "cinder@both#dev", "ref": {"source-name": "old-disk"}, "volume_type": "both"}})
    volume = made["volume"]["id"]
    cloud.api.wait("volume", volume, "available")
    assert cloud.in_ukai() == {f"volume-{volume}"}
    assert cloud.digest(volume) == wanted
    cloud.api.action("volumes", volume, "os-unmanage", None)
    cloud.api.wait_gone("volume", volume)
    info = cloud.cluster.info(f"volume-{volume}")
    assert (info["allowed_hosts"], info["meta"]) == ([], {})
    cloud.cluster.delete(f"volume-{volume}")


def test_force_detach_takes_the_right_to_write(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(12)
    cloud.api.attach(volume, "h1")
    cloud.api.wait("volume", volume, "in-use")
    cloud.api.action("volumes", volume, "os-force_detach", {"connector": None})
    cloud.api.wait("volume", volume, "available")
    assert not may_write(cloud.path(volume))
    assert cloud.digest(volume) == wanted
    cloud.api.delete(volume)


@pytest.mark.long
@pytest.mark.parametrize("on_the_list", [True, False])
def test_force_detach_stops_a_guest_that_goes_on_writing(cloud: Cloud, on_the_list: bool) -> None:
    """Also on a host that an earlier one took off the list and did not fence."""
    volume, wanted = cloud.filled(13)
    _attachment, info = cloud.api.attach(volume, "h1")
    guest = Guest(Path(info["device_path"]))
    cloud.api.wait("volume", volume, "in-use")
    until(lambda: guest.count > 10, "the guest writes", 30)
    if not on_the_list:
        cloud.cluster.ctl("disk", "hosts", cloud.name(volume), "--deny", "h1")
        before = guest.count
        until(lambda: guest.count > before + 10, "the guest goes on", 30)
    cloud.api.action("volumes", volume, "os-force_detach", {"connector": None})
    cloud.api.wait("volume", volume, "available")
    with pytest.raises(OSError):
        guest.end()
    assert cloud.digest(volume) == wanted
