# SPDX-License-Identifier: BSD-2-Clause
"""The base of the driver's unit tests: a driver that is set up, on a fake ukaictl."""
from __future__ import annotations

from typing import Any
from unittest import mock

from oslo_utils import uuidutils

from cinder import context
from cinder import objects
from cinder.tests.unit import fake_volume
from cinder.tests.unit import test
from cinder.volume import configuration as conf
from cinder.volume import driver as cinder_driver

from cinder_ukai import driver
from fake_ukaictl import FakeUkaictl

GROUP = "ukai"  # the section of cinder.conf
TOKYO = "host@ukai#jp/tokyo"
OSAKA = "host@ukai#jp/osaka"


def volume_type(**specs: str) -> objects.VolumeType:
    """ukai:REPLICAS is written replicas."""
    return objects.VolumeType(id=uuidutils.generate_uuid(), name="type", extra_specs={
        f"ukai:{key}": value for key, value in specs.items()})


def attachment(host: str | None) -> mock.Mock:
    return mock.Mock(attached_host=host, connector={"host": host} if host else None)


class UkaiCase(test.TestCase):
    """`self.fake` is the cluster, `self.driver` the driver on it."""

    options: dict[str, Any] = {}

    def setUp(self) -> None:
        super().setUp()
        self.ctxt = context.get_admin_context()
        self.fake = FakeUkaictl()
        self.sleep = self.patch("time.sleep")
        self.patch("socket.gethostname", return_value="here")
        self.patch("cinder.db.volume_admin_metadata_update")
        self.driver = self.make_driver(**self.options)
        self.driver.do_setup(self.ctxt)
        self.driver.check_for_setup_error()
        self.fake.calls.clear()

    def make_driver(self, **options: Any) -> driver.UkaiDriver:
        configuration = conf.Configuration(cinder_driver.volume_opts, config_group=GROUP)
        made = driver.UkaiDriver(execute=self.fake.execute, configuration=configuration,
                                 host="host@ukai")
        for key, value in {"ukai_metadata": "zk1:2181", **options}.items():
            self.override_config(key, value, group=GROUP)
        return made

    def volume(self, host: str = TOKYO, kind: objects.VolumeType | None = None,
               attached: list[mock.Mock] | None = None, **fields: Any) -> Any:
        """A volume that has no disk yet."""
        made = fake_volume.fake_volume_obj(
            self.ctxt, id=uuidutils.generate_uuid(), host=host, size=1, **fields)
        made.volume_type = kind or volume_type()
        attachments = mock.patch.object(type(made), "volume_attachment", attached or [])
        attachments.start()
        self.addCleanup(attachments.stop)
        return made

    def created(self, **fields: Any) -> Any:
        """A volume with its disk."""
        made = self.volume(**fields)
        self.driver.create_volume(made)
        self.fake.calls.clear()
        return made

    def snapshot(self, volume: Any, **fields: Any) -> Any:
        made = objects.Snapshot(self.ctxt, id=uuidutils.generate_uuid(), volume_id=volume.id,
                                volume_size=volume.size, **{"provider_id": None, **fields})
        made.volume = volume
        return made

    def snapped(self, volume: Any) -> Any:
        made = self.snapshot(volume)
        self.driver.create_snapshot(made)
        self.fake.calls.clear()
        return made

    def disk(self, volume: Any) -> Any:
        return self.fake.disks[volume.name]
