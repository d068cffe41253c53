# SPDX-License-Identifier: BSD-2-Clause
"""Volumes and snapshots: made, grown, cloned, deleted, and what goes wrong meanwhile."""
from __future__ import annotations

from unittest import mock

import ddt

from cinder import exception

from cinder_ukai import base
from cinder_ukai import ctl
from fake_ukaictl import GIB, Disk
from ukai_case import OSAKA, UkaiCase, volume_type


@ddt.ddt
class CreateTestCase(UkaiCase):
    def test_puts_the_volume_into_its_pool(self) -> None:
        volume = self.volume(host=OSAKA)
        self.assertIsNone(self.driver.create_volume(volume))
        disk = self.disk(volume)
        self.assertEqual((GIB, ["n3", "n4"], 2), (disk.size, disk.nodes, disk.replicas))
        self.assertEqual({base.VOLUME_NOTE: volume.id}, disk.meta)

    def test_shuts_the_disk_to_all_hosts(self) -> None:
        self.assertEqual(["nobody"], self.disk(self.created()).hosts)

    def test_follows_the_type(self) -> None:
        kind = volume_type(sites="jp/tokyo=1,jp/osaka=1", stripe="true", block_size="1MiB")
        disk = self.disk(self.created(kind=kind))
        self.assertEqual((["n1", "n3", "n2", "n4"], 2, True, 1 << 20),
                         (disk.nodes, disk.replicas, disk.striped, disk.block_size))

    def test_without_a_type_or_pool(self) -> None:
        volume = self.volume(host="host@ukai")
        volume.volume_type = None
        self.driver.create_volume(volume)
        self.assertEqual(["n3", "n4"], self.disk(volume).nodes)

    def test_refuses_a_pool_that_would_have_none_of_it(self) -> None:
        error = self.assertRaises(exception.InvalidVolumeType, self.driver.create_volume,
                                  self.volume(kind=volume_type(sites="jp/osaka=2")))
        self.assertIn("pool_name", str(error))
        self.assertEqual({}, self.fake.disks)

    def test_refuses_multiattach(self) -> None:
        error = self.assertRaises(exception.InvalidInput, self.driver.create_volume,
                                  self.volume(multiattach=True))
        self.assertIn("multiattach", str(error))
        self.assertEqual([], self.fake.calls)

    @ddt.data((2, ctl.UkaiError), (3, ctl.NotFound), (6, ctl.NoSpace), (8, ctl.Refused))
    @ddt.unpack
    def test_failure_is_told_and_leaves_nothing(self, status: int, kind: type) -> None:
        self.fake.fail("disk create", status, "node n1 is down")
        error = self.assertRaises(kind, self.driver.create_volume, self.volume())
        self.assertIn("node n1 is down", str(error))
        self.assertEqual({}, self.fake.disks)

    def test_failure_after_the_disk_is_there_takes_it_away(self) -> None:
        self.fake.fail("disk hosts", 7, "no connection to ZooKeeper")
        self.assertRaises(ctl.Unreachable, self.driver.create_volume, self.volume())
        self.assertEqual({}, self.fake.disks)

    def test_a_name_of_somebody_else_is_left_alone(self) -> None:
        volume = self.volume()
        self.fake.disks[volume.name] = Disk(7, ["n1"], 1)
        self.assertRaises(ctl.AlreadyExists, self.driver.create_volume, volume)
        self.assertEqual(7, self.disk(volume).size)

    def test_what_an_earlier_try_left_is_made_anew(self) -> None:
        volume = self.volume(host=OSAKA)
        self.fake.disks[volume.name] = Disk(7, ["n1"], 1, meta={base.VOLUME_NOTE: volume.id})
        self.driver.create_volume(volume)
        self.assertEqual(["n3", "n4"], self.disk(volume).nodes)


class SweepTestCase(UkaiCase):
    def leave(self) -> object:
        """A create whose outcome nobody knows, and that could not be undone."""
        volume = self.volume()
        self.fake.fail("disk hosts", 7, "no answer")
        self.fake.fail("disk delete", 7, "no answer")
        self.assertRaises(ctl.Unreachable, self.driver.create_volume, volume)
        return volume

    def sweep(self, volume: object) -> None:
        with mock.patch("cinder.objects.Volume.get_by_id", side_effect=[volume]), \
                mock.patch("cinder.objects.VolumeList.get_all_by_host", return_value=[]):
            self.driver.get_volume_stats(refresh=True)

    def test_deletes_when_cinder_has_given_the_volume_up(self) -> None:
        volume = self.leave()
        self.assertEqual(1, len(self.fake.disks))
        self.sweep(mock.Mock(id=volume, host=None))
        self.assertEqual({}, self.fake.disks)

    def test_deletes_when_cinder_has_deleted_the_volume(self) -> None:
        self.leave()
        self.sweep(exception.VolumeNotFound(volume_id="x"))
        self.assertEqual({}, self.fake.disks)

    def test_keeps_what_a_later_try_has_made(self) -> None:
        self.sweep(self.leave())
        self.sweep(self.leave())
        self.assertEqual(2, len(self.fake.disks))


class DeleteTestCase(UkaiCase):
    def test_deletes_also_what_is_gone(self) -> None:
        volume = self.created()
        self.driver.delete_volume(volume)
        self.driver.delete_volume(volume)
        self.assertEqual({}, self.fake.disks)

    def test_waits_for_a_release_that_is_on_its_way(self) -> None:
        volume = self.created()
        self.fake.fail("disk delete", 5, "disk is open on host h1", times=3)
        self.driver.delete_volume(volume)
        self.assertEqual(3, self.sleep.call_count)
        self.assertEqual({}, self.fake.disks)

    def test_in_use_is_busy(self) -> None:
        volume = self.created()
        self.disk(volume).holder = "h1"
        error = self.assertRaises(exception.VolumeIsBusy, self.driver.delete_volume, volume)
        self.assertIn("is open on host h1", str(error))
        self.assertEqual(base.BUSY_TRIES - 1, self.sleep.call_count)

    def test_unreachable_is_told(self) -> None:
        self.fake.fail("disk delete", 7, "no connection to ZooKeeper at zk1:2181 within 10 s")
        error = self.assertRaises(exception.VolumeBackendAPIException, self.driver.delete_volume,
                                  self.volume())
        self.assertIn("within 10 s", str(error))


class ExtendTestCase(UkaiCase):
    def test_grows(self) -> None:
        volume = self.created()
        self.driver.extend_volume(volume, 3)
        self.assertEqual(3 * GIB, self.disk(volume).size)

    def test_errors(self) -> None:
        volume = self.created()
        self.disk(volume).size = 9 * GIB
        self.assertRaises(ctl.Refused, self.driver.extend_volume, volume, 3)
        self.assertRaises(exception.VolumeNotFound, self.driver.extend_volume, self.volume(), 3)


class CloneTestCase(UkaiCase):
    def test_grows_and_is_shut_and_noted(self) -> None:
        source = self.created()
        self.disk(source).hosts.append("h1")
        volume = self.volume()
        volume.size = 2
        self.assertIsNone(self.driver.create_cloned_volume(volume, source))
        disk = self.disk(volume)
        self.assertEqual((2 * GIB, ["nobody"], volume.id),
                         (disk.size, disk.hosts, disk.meta[base.VOLUME_NOTE]))
        self.assertEqual([f"clone {source.name} {volume.name}"], self.fake.ran("clone"))

    def test_moves_to_where_its_own_type_says(self) -> None:
        source = self.created()
        volume = self.volume(kind=volume_type(sites="jp/tokyo=1,jp/osaka=1"))
        self.driver.create_cloned_volume(volume, source)
        self.assertEqual(["n1", "n3"], sorted(self.disk(volume).nodes))

    def test_cannot_change_its_blocks(self) -> None:
        source = self.created()
        volume = self.volume(kind=volume_type(block_size="1MiB"))
        self.assertRaises(exception.InvalidVolumeType, self.driver.create_cloned_volume, volume,
                          source)
        self.assertEqual([source.name], list(self.fake.disks))

    def test_errors(self) -> None:
        source, volume = self.created(), self.volume()
        self.assertRaises(exception.VolumeNotFound, self.driver.create_cloned_volume, volume,
                          self.volume())
        self.fake.fail("clone", 5, "disk is being restored")
        self.assertRaises(exception.VolumeIsBusy, self.driver.create_cloned_volume, volume, source)
        self.fake.disks[volume.name] = Disk(7, ["n1"], 1)
        self.assertRaises(ctl.AlreadyExists, self.driver.create_cloned_volume, volume, source)
        self.assertEqual(7, self.disk(volume).size)

    def test_failure_in_the_middle_leaves_nothing(self) -> None:
        source, volume = self.created(), self.volume()
        volume.size = 2
        self.fake.fail("disk resize", 6, "node n1 is full")
        self.assertRaises(ctl.NoSpace, self.driver.create_cloned_volume, volume, source)
        self.assertEqual([source.name], list(self.fake.disks))

    def test_of_a_snapshot(self) -> None:
        snapshot = self.snapped(self.created())
        volume = self.volume()
        self.assertIsNone(self.driver.create_volume_from_snapshot(volume, snapshot))
        self.assertEqual([f"clone {snapshot.volume.name}@{snapshot.name} {volume.name}"],
                         self.fake.ran("clone"))
        self.assertEqual([], self.fake.ran("disk resize"))

    def test_of_a_snapshot_that_is_gone(self) -> None:
        snapshot = self.snapshot(self.created())
        self.assertRaises(exception.SnapshotNotFound, self.driver.create_volume_from_snapshot,
                          self.volume(), snapshot)


class SnapshotTestCase(UkaiCase):
    def test_is_made_and_deleted_twice(self) -> None:
        snapshot = self.snapped(self.created())
        self.assertEqual([snapshot.name], list(self.disk(snapshot.volume).snapshots))
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(snapshot.volume)
        self.driver.delete_snapshot(snapshot)
        self.assertEqual({}, self.fake.disks)

    def test_busy(self) -> None:
        snapshot = self.snapped(self.created())
        self.fake.busy_snapshots.add(base.file_of(snapshot))
        error = self.assertRaises(exception.SnapshotIsBusy, self.driver.delete_snapshot, snapshot)
        self.assertIn("is being read", str(error))

    def test_of_a_volume_that_is_gone(self) -> None:
        self.assertRaises(exception.VolumeNotFound, self.driver.create_snapshot,
                          self.snapshot(self.volume()))

    def test_failure_is_told(self) -> None:
        volume = self.created()
        self.fake.fail("snapshot create", 7, "host h1 does not answer")
        error = self.assertRaises(exception.VolumeBackendAPIException, self.driver.create_snapshot,
                                  self.snapshot(volume))
        self.assertIn("host h1 does not answer", str(error))

    def test_revert(self) -> None:
        snapshot = self.snapped(self.created())
        self.driver.revert_to_snapshot(self.ctxt, snapshot.volume, snapshot)
        self.assertEqual([f"snapshot rollback {base.file_of(snapshot)}"],
                         self.fake.ran("snapshot rollback"))
        self.assertFalse(self.driver.snapshot_revert_use_temp_snapshot())

    def test_revert_errors(self) -> None:
        snapshot = self.snapped(self.created())
        self.fake.fail("snapshot rollback", 5, "disk is open on host h1", times=99)
        self.assertRaises(exception.SnapshotIsBusy, self.driver.revert_to_snapshot, self.ctxt,
                          snapshot.volume, snapshot)
        gone = self.snapshot(snapshot.volume)
        self.fake._faults.clear()
        self.assertRaises(exception.SnapshotNotFound, self.driver.revert_to_snapshot, self.ctxt,
                          gone.volume, gone)

    def test_backup_reads_a_snapshot(self) -> None:
        snapshot = self.snapped(self.created())
        self.assertTrue(self.driver.backup_use_temp_snapshot())
        self.assertIsNone(self.driver.create_export_snapshot(self.ctxt, snapshot, {"host": "h1"}))
        shown = self.driver.initialize_connection_snapshot(snapshot, {"host": "h1"})
        self.assertEqual(("gpfs", f"/mnt/h1/{base.file_of(snapshot)}", "ro"),
                         (shown["driver_volume_type"], shown["data"]["device_path"],
                          shown["data"]["access_mode"]))
        self.driver.terminate_connection_snapshot(snapshot, {"host": "h1"})
        self.driver.remove_export_snapshot(self.ctxt, snapshot)
