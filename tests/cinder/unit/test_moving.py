# SPDX-License-Identifier: BSD-2-Clause
"""Retype, migration, rename: blocks go from node to node, never through this host."""
from __future__ import annotations

from typing import Any

from cinder import exception

from cinder_ukai import ctl
from fake_ukaictl import Disk
from ukai_case import OSAKA, TOKYO, UkaiCase, volume_type

BOTH = {"sites": "jp/tokyo=1,jp/osaka=1"}


class RetypeTestCase(UkaiCase):
    def retype(self, volume: Any, host: str = TOKYO, **specs: str) -> Any:
        return self.driver.retype(self.ctxt, volume, volume_type(**specs), {}, {"host": host})

    def test_moves_a_volume_in_use(self) -> None:
        volume = self.created()
        self.disk(volume).holder = "h1"
        self.assertEqual((True, None), self.retype(volume, **BOTH))
        self.assertEqual([f"relocate {volume.name} --from=n2 --to=n3 --detach"],
                         self.fake.ran("relocate"))
        self.assertEqual(["n1", "n3"], self.disk(volume).nodes)

    def test_adds_and_takes_off(self) -> None:
        volume = self.created()
        self.assertTrue(self.retype(volume, sites="jp/tokyo=2,jp/osaka=1")[0])
        self.assertEqual(["n1", "n2", "n3"], self.disk(volume).nodes)
        self.assertTrue(self.retype(volume, replicas="1")[0])
        self.assertEqual(["n1"], self.disk(volume).nodes)

    def test_nothing_to_move(self) -> None:
        volume = self.created()
        self.assertEqual((True, None), self.retype(volume, replicas="2"))
        self.assertEqual({}, self.fake.jobs)

    def test_to_another_pool(self) -> None:
        volume = self.created()
        self.assertTrue(self.retype(volume, host=OSAKA, sites="jp/osaka=2")[0])
        self.assertEqual(["n3", "n4"], sorted(self.disk(volume).nodes))

    def test_what_moving_cannot_do(self) -> None:
        volume = self.created()
        for specs in ({"block_size": "1MiB"}, {"stripe": "true"}):
            self.assertEqual((False, None), self.retype(volume, **specs))
        self.assertEqual({}, self.fake.jobs)

    def test_at_a_limited_rate(self) -> None:
        volume = self.created()
        self.driver._mover._rate = "50MiB"
        self.retype(volume, **BOTH)
        self.assertIn("--rate=50MiB", self.fake.ran("relocate")[0])

    def test_failed_job_is_told(self) -> None:
        for state in ("failed", "cancelled"):
            self.fake.job_states = ["queued", state]
            volume = self.created()
            error = self.assertRaises(exception.VolumeMigrationFailed, self.retype, volume, **BOTH)
            self.assertIn(f"{state}: node n3 is full", str(error))

    def test_job_that_takes_too_long_is_cancelled(self) -> None:
        self.fake.job_states = ["running"]
        self.driver._mover._seconds_max = -1
        error = self.assertRaises(exception.VolumeMigrationFailed, self.retype, self.created(),
                                  **BOTH)
        self.assertIn("is cancelled", str(error))
        self.assertEqual(["job cancel job-1"], self.fake.ran("job cancel"))

    def test_goes_on_while_zookeeper_is_away(self) -> None:
        volume = self.created()
        self.fake.fail("job info", 7, "no connection to ZooKeeper", times=3)
        self.assertTrue(self.retype(volume, **BOTH)[0])
        self.assertEqual(4, self.sleep.call_count)

    def test_errors(self) -> None:
        volume = self.created()
        self.assertRaises(exception.InvalidVolumeType, self.retype, volume, sites="jp/osaka=1")
        self.assertRaises(exception.InvalidVolumeType, self.retype, volume, replicas="many")
        self.assertRaises(exception.VolumeNotFound, self.retype, self.volume())
        self.fake.fail("relocate", 8, "node n3 is down")
        self.assertRaises(ctl.Refused, self.retype, volume, **BOTH)


class MigrateTestCase(UkaiCase):
    def migrate(self, volume: Any, host: str = OSAKA, where: str | None = None) -> Any:
        where = where or self.driver._location_info()
        return self.driver.migrate_volume(self.ctxt, volume, {
            "host": host, "capabilities": {"location_info": where}})

    def test_to_another_pool(self) -> None:
        volume = self.created()
        self.assertEqual((True, None), self.migrate(volume))
        self.assertEqual(["n3", "n4"], sorted(self.disk(volume).nodes))

    def test_to_a_back_end_with_another_number_of_replicas(self) -> None:
        volume = self.created()
        self.assertEqual((True, None), self.driver.migrate_volume(self.ctxt, volume, {
            "host": OSAKA, "capabilities": {"location_info": self.driver._location_info(),
                                            "ukai_replicas": 1}}))
        self.assertEqual(["n3"], self.disk(volume).nodes)

    def test_to_another_cluster_is_not_ours(self) -> None:
        volume = self.created()
        self.assertEqual((False, None), self.migrate(volume, where="UKAI:elsewhere:2181/"))
        self.assertEqual((False, None), self.driver.migrate_volume(
            self.ctxt, volume, {"host": OSAKA, "capabilities": {}}))
        self.assertEqual([], self.fake.calls)

    def test_against_its_type(self) -> None:
        volume = self.created(kind=volume_type(sites="jp/tokyo=2"))
        self.assertRaises(exception.InvalidVolumeType, self.migrate, volume)

    def test_cluster_is_known_by_its_servers_in_any_order(self) -> None:
        self.assertEqual("UKAI:zk1:2181,zk2:2181/prod", self.driver._location_info())


class RenameTestCase(UkaiCase):
    def update(self, volume: Any, copy: Any, status: str = "available") -> Any:
        return self.driver.update_migrated_volume(self.ctxt, volume, copy, status)

    def test_copy_gets_the_volumes_name(self) -> None:
        volume, copy = self.volume(), self.created()
        self.assertEqual({"_name_id": None, "provider_location": None}, self.update(volume, copy))
        self.assertEqual([volume.name], list(self.fake.disks))

    def test_copy_keeps_its_name(self) -> None:
        original, copy = self.created(), self.created()
        keep = {"_name_id": copy.id, "provider_location": copy.provider_location}
        self.assertEqual(keep, self.update(original, copy))
        self.assertEqual(keep, self.update(self.volume(), copy, "in-use"))
        self.assertEqual({original.name, copy.name}, set(self.fake.disks))


class ManageTestCase(UkaiCase):
    REF = {"source-name": "vm-1"}

    def setUp(self) -> None:
        super().setUp()
        self.exists = self.patch("cinder.objects.Volume.exists", return_value=False)
        self.fake.disks["vm-1"] = Disk((1 << 30) + 1, ["n1", "n2"], 2, meta={"os": "debian"})

    def manage(self, volume: Any) -> None:
        self.driver.manage_existing(volume, self.REF)

    def test_takes_a_disk_in(self) -> None:
        volume = self.volume()
        self.assertEqual(2, self.driver.manage_existing_get_size(volume, self.REF))
        self.manage(volume)
        self.assertEqual([volume.name], list(self.fake.disks))
        self.assertEqual((["nobody"], {"os": "debian", "cinder.volume_id": volume.id}),
                         (self.disk(volume).hosts, self.disk(volume).meta))

    def test_and_lets_it_go(self) -> None:
        volume = self.volume()
        self.manage(volume)
        self.driver.unmanage(volume)
        self.assertEqual(([], {"os": "debian"}), (self.disk(volume).hosts, self.disk(volume).meta))

    def test_bad_references(self) -> None:
        for reference in ({}, {"source-id": "x"}, {"source-name": "nope"},
                          {"source-name": "vm-1@snap"}, {"source-name": "--help"}):
            self.assertRaises(exception.ManageExistingInvalidReference,
                              self.driver.manage_existing_get_size, self.volume(), reference)

    def test_in_use(self) -> None:
        self.fake.disks["vm-1"].holder = "h1"
        error = self.assertRaises(exception.ManageExistingInvalidReference, self.manage,
                                  self.volume())
        self.assertIn("in use", str(error))

    def test_managed_already(self) -> None:
        name = self.created().name
        self.exists.return_value = True
        self.assertRaises(exception.ManageExistingAlreadyManaged, self.driver.manage_existing,
                          self.volume(), {"source-name": name})

    def test_of_another_layout(self) -> None:
        for volume in (self.volume(host=OSAKA), self.volume(kind=volume_type(replicas="1")),
                       self.volume(kind=volume_type(stripe="1"))):
            self.assertRaises(exception.ManageExistingVolumeTypeMismatch, self.manage, volume)

    def test_list(self) -> None:
        ours = self.created()
        self.fake.disks["vm-2"] = Disk(1 << 30, ["n1"], 1, holder="h1")
        listed = self.driver.get_manageable_volumes(
            [{"name": ours.name, "id": ours.id}], None, 10, 0, ["size"], ["desc"])
        self.assertEqual(
            [("vm-1", 2, True, None), (ours.name, 1, False, "already managed"),
             ("vm-2", 1, False, "in use")],
            [(entry["reference"]["source-name"], entry["size"], entry["safe_to_manage"],
              entry["reason_not_safe"]) for entry in listed])


class ManageSnapshotTestCase(UkaiCase):
    REF = {"source-name": "before-upgrade"}

    def setUp(self) -> None:
        super().setUp()
        self.found = self.created()
        self.disk(self.found).snapshots["before-upgrade"] = 1 << 30
        self.others = self.patch("cinder.objects.Volume.snapshots", [])
        self.patch("cinder.objects.Volume.exists", return_value=True)

    def test_keeps_its_name(self) -> None:
        snapshot = self.snapshot(self.found)
        self.assertEqual(1, self.driver.manage_existing_snapshot_get_size(snapshot, self.REF))
        snapshot.update(self.driver.manage_existing_snapshot(snapshot, self.REF))
        volume = self.volume()
        self.driver.create_volume_from_snapshot(volume, snapshot)
        self.assertEqual([f"clone {self.found.name}@before-upgrade {volume.name}"],
                         self.fake.ran("clone"))
        self.driver.unmanage_snapshot(snapshot)
        self.assertEqual(["before-upgrade"], list(self.disk(self.found).snapshots))
        self.driver.delete_snapshot(snapshot)
        self.assertEqual([], list(self.disk(self.found).snapshots))

    def test_errors(self) -> None:
        snapshot = self.snapshot(self.found)
        for reference in ({}, {"source-name": "nope"}):
            self.assertRaises(exception.ManageExistingInvalidReference,
                              self.driver.manage_existing_snapshot, snapshot, reference)
        self.assertRaises(exception.ManageExistingInvalidReference,
                          self.driver.manage_existing_snapshot_get_size,
                          self.snapshot(self.volume()), self.REF)
        self.others.append(self.snapshot(self.found, provider_id="before-upgrade"))
        self.assertRaises(exception.ManageExistingAlreadyManaged,
                          self.driver.manage_existing_snapshot, snapshot, self.REF)

    def test_list(self) -> None:
        ours = self.snapped(self.found)
        listed = self.driver.get_manageable_snapshots([ours], None, 10, 0, ["size"], ["asc"])
        self.assertEqual({("before-upgrade", True, None), (ours.name, False, ours.id)},
                         {(entry["reference"]["source-name"], entry["safe_to_manage"],
                           entry["cinder_id"]) for entry in listed})
        self.assertEqual({self.found.name},
                         {entry["source_reference"]["source-name"] for entry in listed})
