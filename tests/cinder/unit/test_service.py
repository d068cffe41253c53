# SPDX-License-Identifier: BSD-2-Clause
"""Set-up, figures, and what the service says of itself."""
from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import ddt

from cinder import exception
from cinder.tests.unit import test

import cinder_ukai
from cinder_ukai import ctl
from cinder_ukai import health
from cinder_ukai import options
from ukai_case import GROUP, UkaiCase


@ddt.ddt
class SetupTestCase(UkaiCase):
    def check(self, **options: Any) -> None:
        fresh = self.make_driver(**options)
        fresh.do_setup(self.ctxt)
        fresh.check_for_setup_error()

    def test_metadata_servers_are_needed(self) -> None:
        self.assertRaises(exception.InvalidConfigurationValue, self.check, ukai_metadata=None)

    def test_a_config_file_will_do(self) -> None:
        with mock.patch.object(self.fake, "execute", wraps=self.fake.execute) as execute:
            self.check(ukai_metadata=None, ukai_config_file="/etc/ukai/ctl.toml")
        self.assertIn("--config=/etc/ukai/ctl.toml", execute.call_args.args)

    def test_site_without_a_node(self) -> None:
        self.assertRaises(exception.InvalidConfigurationValue, self.check,
                          ukai_sites=["jp/tokyo", "jp/kyoto"])
        self.check(ukai_sites=["jp"])

    def test_cluster_without_a_node(self) -> None:
        self.fake.nodes.clear()
        self.assertRaises(exception.VolumeBackendAPIException, self.check)

    def test_machine_without_ukaid(self) -> None:
        self.fake.hosts.remove("here")
        self.assertRaises(exception.VolumeBackendAPIException, self.check)

    @ddt.data(1, 3, 7)
    def test_cluster_that_does_not_answer(self, status: int) -> None:
        self.fake.fail("host list", status, "no connection to ZooKeeper")
        self.assertRaises(exception.VolumeBackendAPIException, self.check)


class SampleTestCase(test.TestCase):
    def test_has_every_option_with_its_default(self) -> None:
        sample = Path(cinder_ukai.__file__).parents[1] / "etc" / "cinder-ukai.conf.sample"
        lines = sample.read_text().splitlines()
        for option in options.list_opts()[0][1]:
            commented = f"#{option.name} = {option.default or ''}".strip()
            given = [line for line in lines if line.startswith(f"{option.name} = ")]
            self.assertTrue(commented in lines or bool(given), option.name)


class HealthTestCase(UkaiCase):
    def test_service_is_down_while_ukai_does_not_answer(self) -> None:
        with mock.patch.object(self.driver._watch, "_loop") as loop:
            self.assertFalse(self.driver.initialized)
            self.driver.set_initialized()
            self.driver.set_initialized()
        loop.start.assert_called_once_with(10, initial_delay=10, stop_on_exception=False)
        self.assertTrue(self.driver.initialized)
        self.fake.fail("host list", 7, "no connection to ZooKeeper", times=2)
        for initialized in (False, False, True, True):
            self.driver._watch.once()
            self.assertEqual(initialized, self.driver.initialized)

    def test_service_is_down_while_its_ukaid_is(self) -> None:
        self.fake.hosts.remove("here")
        self.driver._watch.once()
        self.assertFalse(self.driver._watch.well)

    def test_replication_is_in_one_line(self) -> None:
        self.assertEqual("healthy", health.replication({"health": "healthy", "reasons": []}))
        degraded = {"health": "degraded", "reasons": ["node n2 is missing", "x" * 300]}
        self.assertTrue(health.replication(degraded).startswith("degraded: node n2 is missing; x"))
        self.assertEqual(255, len(health.replication(degraded)))


class StatsTestCase(UkaiCase):
    def setUp(self) -> None:
        super().setUp()
        self.note = self.patch("cinder.db.volume_admin_metadata_update")
        self.driver._notes._database = mock.Mock(volume_admin_metadata_update=self.note)
        self.volumes = self.patch("cinder.objects.VolumeList.get_all_by_host", return_value=[])

    def stats(self) -> Any:
        return self.driver.get_volume_stats(refresh=True)

    def test_of_the_pools(self) -> None:
        self.created()
        stats = self.stats()
        self.assertEqual(("UkaiDriver", "UKAI", "UKAI", "1.0.0"),
                         tuple(stats[key] for key in ("volume_backend_name", "vendor_name",
                                                      "storage_protocol", "driver_version")))
        osaka, tokyo = stats["pools"]
        self.assertEqual(("jp/osaka", 100.0, 87.0, 0.0, 0), self.figures(osaka))
        self.assertEqual(("jp/tokyo", 100.0, 89.0, 1.0, 1), self.figures(tokyo))
        for key in ("multiattach", "online_extend_support", "QoS_support",
                    "thick_provisioning_support", "replication_enabled"):
            self.assertIs(False, tokyo[key], key)
        self.assertTrue(tokyo["thin_provisioning_support"])
        self.assertEqual(2, tokyo["ukai_replicas"])

    @staticmethod
    def figures(pool: Any) -> Any:
        return tuple(pool[key] for key in ("pool_name", "total_capacity_gb", "free_capacity_gb",
                                           "provisioned_capacity_gb", "total_volumes"))

    def test_node_that_is_down_has_no_room(self) -> None:
        self.fake.down = {"n3", "n4"}
        self.assertEqual(0.0, self.stats()["pools"][0]["free_capacity_gb"])

    def test_configured_pools(self) -> None:
        self.override_config("ukai_sites", ["jp"], group=GROUP)
        self.assertEqual(["jp"], [pool["pool_name"] for pool in self.stats()["pools"]])

    def test_extending_in_use_needs_the_bind_mount(self) -> None:
        self.override_config("ukai_connection_type", "nfs", group=GROUP)
        self.assertIs(True, self.stats()["pools"][0]["online_extend_support"])

    def test_failure_is_told(self) -> None:
        self.fake.fail("node list", 7, "no connection to ZooKeeper")
        self.assertRaises(ctl.Unreachable, self.stats)

    def test_pool_of_a_volume(self) -> None:
        self.assertEqual("jp/tokyo", self.driver.get_pool(self.created()))

    def test_replication_is_noted_when_it_changes(self) -> None:
        volume = self.created()
        self.volumes.return_value = [volume]
        self.stats()
        self.disk(volume).health, self.disk(volume).reasons = "degraded", ["node n2 is missing"]
        self.stats()
        self.stats()
        self.assertEqual(
            [mock.call(mock.ANY, volume.id, {"ukai_replication": text}, False)
             for text in ("healthy", "degraded: node n2 is missing")], self.note.mock_calls)
        self.assertEqual(2, self.volumes.call_count)

    def test_vendor_properties(self) -> None:
        self.driver.init_capabilities()
        self.assertEqual("ukai", self.driver.capabilities["vendor_prefix"])
        self.assertIn("ukai:sites", self.driver.capabilities["properties"])
