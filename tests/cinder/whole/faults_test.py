# SPDX-License-Identifier: BSD-2-Clause
"""What is killed in the middle of operations: nothing is leaked, nothing is half done."""
from __future__ import annotations

import time
from pathlib import Path

import pytest

from api import Refused, until
from cloud import Cloud, Guest
from stack import SERVICE_DOWN_SECONDS

SETTLED = {"available", "error", "in-use", "error_deleting"}
UP_SECONDS = 60

# What is asked for and not begun. Cinder takes a request off its queue before it begins it: one
# that is on its way when the service dies is lost, and its volume stays in between for ever.
NOT_BEGUN = " UNION ALL ".join(
    f"""SELECT id FROM {table} AS item WHERE deleted = 0 AND status IN ('creating', 'deleting')
AND NOT EXISTS (SELECT * FROM workers JOIN services ON services.id = service_id
WHERE resource_id = item.id AND services.`binary` = 'cinder-volume')"""
    for table in ("volumes", "snapshots"))


def request_volumes(cloud: Cloud, count: int) -> list[str]:
    """Asks for them and does not wait."""
    return [cloud.api.post("/volumes", {"volume": {"size": 1, "volume_type": "both"}})
            ["volume"]["id"] for _turn in range(count)]


def kill_volume_service(cloud: Cloud) -> None:
    """In the middle of all that it was asked for; then starts it again."""
    until(lambda: not cloud.stack.sql(NOT_BEGUN), "all is begun", 60, pause=0)
    cloud.stack.kill("volume")
    cloud.stack.start_cinder("volume")


def settle(cloud: Cloud, seconds: float = 120) -> None:
    """Until no volume is in between."""
    def statuses() -> list[str]:
        return [volume["status"] for volume in cloud.api.volumes()]

    until(lambda: set(statuses()) <= SETTLED, "no volume is in between", seconds,
          lambda: str(statuses()))


def check_and_delete(cloud: Cloud) -> None:
    """Every good volume has its disk; after deleting all, nothing is left anywhere."""
    disks = cloud.in_ukai()
    for volume in cloud.api.volumes():
        if volume["status"] == "available":
            assert f"volume-{volume['id']}" in disks
        if volume["status"] == "error_deleting":  # only an administrator may try that again
            cloud.api.action("volumes", volume["id"], "os-force_delete", {})
        else:
            cloud.api.call("DELETE", f"/volumes/{volume['id']}")
    until(lambda: not cloud.api.volumes(), "all volumes are deleted", 90,
          lambda: str([volume["status"] for volume in cloud.api.volumes()]))
    until(lambda: not cloud.in_ukai(), "nothing is left in UKAI", 90,
          lambda: str(cloud.in_ukai()))


def back_up(cloud: Cloud) -> None:
    until(lambda: cloud.states() == {"up"}, "both back ends are up again", UP_SECONDS)


def test_volume_service_is_killed_while_it_makes_and_deletes(cloud: Cloud) -> None:
    doomed = [cloud.api.create(volume_type="both") for _turn in range(3)]
    request_volumes(cloud, 5)
    for volume in doomed:
        cloud.api.call("DELETE", f"/volumes/{volume}")
    kill_volume_service(cloud)
    settle(cloud)
    check_and_delete(cloud)
    back_up(cloud)


def test_zookeeper_is_killed_while_volumes_are_made_and_deleted(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(39)
    doomed = [cloud.api.create(volume_type="both") for _turn in range(2)]
    request_volumes(cloud, 3)
    for other in doomed:
        cloud.api.call("DELETE", f"/volumes/{other}")
    cloud.cluster.kill("zk")
    until(lambda: cloud.states() == {"down"}, "the service is down", SERVICE_DOWN_SECONDS + 60)
    cloud.cluster.start("zk")
    back_up(cloud)
    settle(cloud)
    assert cloud.digest(volume) == wanted
    check_and_delete(cloud)


@pytest.mark.long
def test_ukaid_of_the_volume_service_is_killed(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(40)
    cloud.cluster.kill("h1")
    until(lambda: cloud.states() == {"down"}, "the service is down", SERVICE_DOWN_SECONDS + 60)
    cloud.cluster.start("h1")
    back_up(cloud)
    assert cloud.digest(volume) == wanted


def test_node_is_killed_while_a_volume_moves_to_it(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(41, volume_type="near")
    attachment, info = cloud.api.attach(volume, "h1")
    guest = Guest(Path(info["device_path"]))
    cloud.cluster.devcluster("stop", "n3")
    cloud.retype(volume, "spread")
    time.sleep(1)
    cloud.cluster.kill("n3")
    time.sleep(3)
    cloud.cluster.start("n3")
    cloud.api.wait("volume", volume, "in-use", 120)
    if cloud.api.volume(volume)["volume_type"] != "spread":  # refused while the node was down
        until(lambda: cloud.cluster.json("node", "info", "n3")["up"], "n3 is up", 30)
        cloud.retype(volume, "spread")
        until(lambda: cloud.api.volume(volume)["volume_type"] == "spread", "retyped", 90)
    guest.end()
    cloud.cluster.wait_healthy(cloud.name(volume))
    assert sorted(cloud.info(volume)["nodes"]) == ["n3", "n4"]
    cloud.cluster.verify(cloud.name(volume))
    assert cloud.digest(volume) == wanted
    cloud.api.detach(attachment)


@pytest.mark.long
def test_volume_service_is_killed_while_a_volume_moves(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(42, volume_type="near")
    cloud.retype(volume, "spread")
    time.sleep(0.6)
    cloud.stack.kill("volume")
    cloud.stack.start_cinder("volume")
    back_up(cloud)
    if cloud.api.volume(volume)["status"] != "available":
        cloud.api.action("volumes", volume, "os-reset_status", {"status": "available"})
    if cloud.api.volume(volume)["volume_type"] != "spread":
        cloud.retype(volume, "spread")
        until(lambda: cloud.api.volume(volume)["volume_type"] == "spread", "retyped", 90)
    assert sorted(cloud.info(volume)["nodes"]) == ["n3", "n4"]
    assert cloud.digest(volume) == wanted
    cloud.check_lists()


@pytest.mark.long
def test_node_that_is_down_is_told_and_noted(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(43, volume_type="near")
    cloud.cluster.kill("n2")
    until(lambda: not cloud.cluster.json("node", "info", "n2")["up"], "n2 is down", 60)
    failed = cloud.api.create("error", volume_type="near")
    note = (f"SELECT value FROM volume_admin_metadata WHERE deleted = 0 AND volume_id = '{volume}'"
            " AND `key` = 'ukai_replication'")
    until(lambda: [row[0] for row in cloud.stack.sql(note) if "degraded" in row[0]] != [],
          "the note says degraded", 60, lambda: str(cloud.stack.sql(note)))
    cloud.cluster.start("n2")
    until(lambda: cloud.stack.sql(note) == [["healthy"]], "the note says healthy", 90,
          lambda: str(cloud.stack.sql(note)))
    assert cloud.in_ukai() == {f"volume-{volume}"}
    cloud.api.delete(failed)
    assert cloud.digest(volume) == wanted


@pytest.mark.long
def test_volume_service_is_killed_while_it_snapshots_and_clones(cloud: Cloud) -> None:
    volume, wanted = cloud.filled(44)
    snapshot = cloud.api.snapshot(volume)
    for _turn in range(3):
        cloud.api.post("/volumes", {"volume": {"size": 1, "source_volid": volume}})
        cloud.api.post("/volumes", {"volume": {"size": 1, "snapshot_id": snapshot}})
        cloud.api.post("/snapshots", {"snapshot": {"volume_id": volume, "force": True}})
    kill_volume_service(cloud)
    settle(cloud)
    back_up(cloud)
    assert cloud.digest(volume) == wanted
    for made in cloud.api.volumes():
        if made["status"] == "available":
            assert cloud.digest(made["id"]) == wanted
    listed = {f"snapshot-{entry['id']}" for entry in cloud.api.get("/snapshots")["snapshots"]}
    assert cloud.snapshots_of(volume) <= listed
    with pytest.raises(Refused):
        cloud.api.call("DELETE", f"/volumes/{volume}")  # it has snapshots
