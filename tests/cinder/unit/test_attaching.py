# SPDX-License-Identifier: BSD-2-Clause
"""Attaching, detaching, fencing."""
from __future__ import annotations

from unittest import mock

import ddt

from cinder import exception

from cinder_ukai import ctl
from ukai_case import GROUP, UkaiCase, attachment

KEY = "5d9c2b50-8a3e-4a39-9a3c-0d3d8ef0d1a7"
H1 = {"host": "h1"}
H2 = {"host": "h2.example.com"}


@ddt.ddt
class AttachTestCase(UkaiCase):
    def test_is_a_file_on_the_hosts_mount(self) -> None:
        volume = self.created()
        path = f"/mnt/h1/{volume.name}"
        self.assertEqual(
            {"driver_volume_type": "gpfs",
             "data": {"name": volume.name, "device_path": path, "access_mode": "rw"}},
            self.driver.initialize_connection(volume, H1))
        self.assertEqual(["h1", "nobody"], self.disk(volume).hosts)

    def test_through_a_bind_mount(self) -> None:
        volume = self.created()
        self.override_config("ukai_connection_type", "nfs", group=GROUP)
        shown = self.driver.initialize_connection(volume, {**H1, "mode": "ro"})
        self.assertEqual("nfs", shown["driver_volume_type"])
        self.assertTrue(shown["mount_point_base"].endswith("/mnt"))  # os-brick needs one
        self.assertEqual(("/mnt/h1", "-o bind", "raw", "ro"),
                         tuple(shown["data"][key] for key in ("export", "options", "format",
                                                              "access_mode")))

    def test_twice_and_on_two_hosts_during_a_migration(self) -> None:
        volume = self.created()
        for connector in (H1, H1, H2):
            self.driver.initialize_connection(volume, connector)
        self.assertEqual(["h1", "h2", "nobody"], self.disk(volume).hosts)
        self.assertFalse(self.driver.terminate_connection(volume, H1))
        self.assertEqual(["h2", "nobody"], self.disk(volume).hosts)

    def test_a_host_by_its_configured_name(self) -> None:
        volume = self.created()
        self.driver._hosts._names = {"compute-7": "h2"}
        self.driver.initialize_connection(volume, {"host": "compute-7"})
        self.assertEqual(["h2", "nobody"], self.disk(volume).hosts)
        self.driver.terminate_connection(volume, {"host": "compute-7"})
        self.assertEqual(["nobody"], self.disk(volume).hosts)

    def test_errors(self) -> None:
        volume = self.created()
        error = self.assertRaises(exception.VolumeBackendAPIException,
                                  self.driver.initialize_connection, volume, {"host": "h9.x"})
        self.assertIn("no ukaid runs on host h9.x", str(error))
        self.assertRaises(exception.InvalidConnectorException,
                          self.driver.initialize_connection, volume, {})
        self.assertRaises(exception.InvalidConnectorException,
                          self.driver.validate_connector, {"ip": "::1"})
        self.assertRaises(exception.VolumeNotFound, self.driver.initialize_connection,
                          self.volume(), H1)
        self.driver.validate_connector(H1)

    def test_exports_are_nothing(self) -> None:
        volume = self.volume()
        self.assertIsNone(self.driver.create_export(self.ctxt, volume, H1))
        self.driver.remove_export(self.ctxt, volume)
        self.assertEqual([], self.fake.calls)

    def test_ensure_export_gives_the_rights_again(self) -> None:
        volume = self.created(attached=[attachment("h1"), attachment("h2.example.com"),
                                        attachment(None)])
        self.driver.ensure_export(self.ctxt, volume)
        self.assertEqual(["h1", "h2", "nobody"], self.disk(volume).hosts)

    @ddt.data(3, 7, 1)
    def test_ensure_export_never_raises(self, status: int) -> None:
        volume = self.created(attached=[attachment("h1")])
        self.fake.fail("disk hosts", status, "no")
        self.driver.ensure_export(self.ctxt, volume)


@ddt.ddt
class DetachTestCase(UkaiCase):
    def attached(self, *hosts: str, **fields: object) -> object:
        volume = self.created(**fields)
        for host in hosts:
            self.driver.initialize_connection(volume, {"host": host})
        self.fake.calls.clear()
        return volume

    def test_is_idempotent(self) -> None:
        volume = self.attached("h1")
        self.driver.terminate_connection(volume, H1)
        self.driver.terminate_connection(volume, H1)
        self.assertEqual(["nobody"], self.disk(volume).hosts)
        self.assertEqual([], self.fake.ran("lease"))
        self.assertFalse(self.driver.terminate_connection(self.volume(), H1))

    def test_of_a_host_that_is_gone(self) -> None:
        volume = self.attached("h1", "h2")
        self.fake.hosts.remove("h2")
        self.driver.terminate_connection(volume, H2)
        self.assertEqual(["h1", "nobody"], self.disk(volume).hosts)

    def test_leaves_another_attachment_on_the_host(self) -> None:
        volume = self.attached("h1", attached=[attachment("h1"), attachment("h1")])
        self.assertTrue(self.driver.terminate_connection(volume, H1))
        self.assertEqual(["h1", "nobody"], self.disk(volume).hosts)

    def test_by_force_fences_first(self) -> None:
        volume = self.attached("h1")
        self.disk(volume).holder = "h1"
        self.driver.terminate_connection(volume, H1, force=True)
        name = self.disk(volume) and self.fake.calls[0][2]
        self.assertEqual([f"lease release {name} --force", f"disk hosts {name} --deny=h1"],
                         self.fake.ran("lease") + self.fake.ran("disk hosts"))
        self.assertLess(self.fake.calls.index(["lease", "release", name, "--force"]),
                        self.fake.calls.index(["disk", "hosts", name, "--deny=h1"]))

    def test_by_force_leaves_other_hosts_alone(self) -> None:
        volume = self.attached("h1", "h2")
        self.disk(volume).holder = "h2"
        self.driver.terminate_connection(volume, H1, force=True)
        self.assertEqual(("h2", ["h2", "nobody"]),
                         (self.disk(volume).holder, self.disk(volume).hosts))

    def test_without_a_connector_fences_all(self) -> None:
        volume = self.attached("h1", "h2")
        self.disk(volume).holder = "h2"
        self.assertFalse(self.driver.terminate_connection(volume, None))
        self.assertFalse(self.driver.terminate_connection(volume, {}))
        self.assertEqual((None, ["nobody"]), (self.disk(volume).holder, self.disk(volume).hosts))

    @ddt.data("guest", "job")
    def test_by_force_of_a_host_that_takes_the_lease_again(self, why: str) -> None:
        """Once off the list, a host takes it for a job only, under which no guest writes."""
        volume = self.attached("h1")
        self.disk(volume).holder = "h1"
        self.fake.retakes_lease = why
        self.driver.terminate_connection(volume, H1, force=True)
        self.assertEqual((None if why == "guest" else "h1", ["nobody"]),
                         (self.disk(volume).holder, self.disk(volume).hosts))
        self.assertEqual(["lease", "disk", "lease"], [
            call[0] for call in self.fake.calls if call[1] in ("release", "hosts")])

    @ddt.data(H2, {"host": "h2"}, None)
    def test_by_force_of_a_writer_that_is_off_the_list(self, connector: object) -> None:
        """As a detach by force leaves it that has failed half-way."""
        volume = self.attached("h1")
        self.disk(volume).holder = "h2"
        self.driver.terminate_connection(volume, connector, force=True)
        self.assertIsNone(self.disk(volume).holder)
        self.assertEqual(["h1", "nobody"] if connector else ["nobody"], self.disk(volume).hosts)

    def test_by_force_leaves_an_administrators_lease_alone(self) -> None:
        volume = self.attached("h1")
        self.disk(volume).holder, self.disk(volume).lease_type = "root@here:1", "admin"
        self.driver.terminate_connection(volume, None)
        self.assertEqual(("root@here:1", ["nobody"]),
                         (self.disk(volume).holder, self.disk(volume).hosts))

    def test_by_force_again_after_it_has_failed_half_way(self) -> None:
        volume = self.attached("h1")
        self.disk(volume).holder = "h1"
        self.fake.retakes_lease = "guest"
        self.fake.fail("disk info", 7, "no answer", after=2)  # off the list, and not fenced
        self.assertRaises(ctl.Unreachable, self.driver.terminate_connection, volume, None)
        self.assertEqual(("h1", ["nobody"]), (self.disk(volume).holder, self.disk(volume).hosts))
        self.driver.terminate_connection(volume, None)
        self.assertIsNone(self.disk(volume).holder)

    def test_unreachable_is_told(self) -> None:
        volume = self.attached("h1")
        self.fake.fail("disk hosts", 7, "host h1 does not answer")
        self.assertRaises(ctl.Unreachable, self.driver.terminate_connection, volume, H1)


class ImageTestCase(UkaiCase):
    def setUp(self) -> None:
        super().setUp()
        self.fetch = self.patch("cinder.image.image_utils.fetch_to_raw",
                                side_effect=self.look)
        self.hosts: list[str] = []

    def look(self, *arguments: object, **_options: object) -> None:
        name = str(arguments[3]).rsplit("/", 1)[1]
        self.hosts = list(self.fake.disks[name].hosts) if name in self.fake.disks else []

    def test_is_copied_to_the_mount_of_this_machine(self) -> None:
        volume = self.created()
        self.driver.copy_image_to_volume(self.ctxt, volume, mock.sentinel.images, "image-1")
        self.fetch.assert_called_once_with(
            self.ctxt, mock.sentinel.images, "image-1", f"/mnt/here/{volume.name}",
            mock.ANY, size=1)
        self.assertEqual(["here", "nobody"], self.hosts)
        self.assertEqual(["nobody"], self.disk(volume).hosts)

    def test_keeps_the_right_of_a_guest_on_this_machine(self) -> None:
        volume = self.created()
        self.driver.initialize_connection(volume, {"host": "here"})
        self.driver.copy_image_to_volume(self.ctxt, volume, None, "image-1")
        self.assertEqual(["here", "nobody"], self.disk(volume).hosts)

    def test_failure_takes_the_right_back(self) -> None:
        volume = self.created()
        self.fetch.side_effect = exception.ImageTooBig(image_id="image-1", reason="large")
        self.assertRaises(exception.ImageTooBig, self.driver.copy_image_to_volume, self.ctxt,
                          volume, None, "image-1")
        self.assertEqual(["nobody"], self.disk(volume).hosts)

    def test_without_a_ukaid_here(self) -> None:
        volume = self.created()
        self.fake.hosts.remove("here")
        self.assertRaises(exception.VolumeBackendAPIException, self.driver.copy_image_to_volume,
                          self.ctxt, volume, None, "image-1")
        self.fetch.assert_not_called()

    def test_is_made_of_the_file(self) -> None:
        volume = self.created()
        upload = self.patch("cinder.volume.volume_utils.upload_volume")
        self.driver.copy_volume_to_image(self.ctxt, volume, "images", {"id": "i"})
        upload.assert_called_once_with(self.ctxt, "images", {"id": "i"},
                                       f"/mnt/here/{volume.name}", volume, compress=True)


class EncryptedTestCase(UkaiCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch("cinder.volume.volume_utils.check_encryption_provider", return_value={
            "encryption_key_id": KEY, "cipher": "aes-xts-plain64", "key_size": 256})
        self.patch("castellan.key_manager.API").return_value.get.return_value.get_encoded \
            .return_value = b"\x01\x02"
        self.patch("cinder.volume.volume_utils.image_conversion_dir", return_value=None)
        self.copy = self.patch("cinder.volume.volume_utils.copy_volume")
        self.made: list[str] = []
        self.size = 2 << 20
        run = self.fake.execute
        self.driver._execute = lambda *command: self.qemu_img(command) or run(*command)

    def qemu_img(self, command: tuple[str, ...]) -> tuple[str, str] | None:
        if command[0] != "qemu-img":
            return None
        secret = command[command.index("--object") + 1].split("file=")[1]
        with open(secret) as opened:
            self.made = [*command, opened.read()]
        self.write(command[-2])
        return "", ""

    def write(self, path: str) -> None:
        with open(path, "wb") as made:
            made.truncate(self.size)

    def test_new_volume_gets_a_header(self) -> None:
        volume = self.volume(encryption_key_id=KEY)
        self.driver.create_volume(volume)
        self.assertEqual(["qemu-img", "create", "-f", "luks", "-o",
                          "cipher-alg=aes-256,cipher-mode=xts,ivgen-alg=plain64"], self.made[:6])
        self.assertEqual("0102", self.made[-1])
        self.copy.assert_called_once_with(mock.ANY, f"/mnt/here/{volume.name}", 2, mock.ANY)
        self.assertEqual(["nobody"], self.disk(volume).hosts)

    def test_failure_leaves_no_volume(self) -> None:
        self.copy.side_effect = exception.CinderException("disk full")
        self.assertRaises(exception.CinderException, self.driver.create_volume,
                          self.volume(encryption_key_id=KEY))
        self.assertEqual({}, self.fake.disks)

    def test_image_is_encrypted_on_its_way(self) -> None:
        volume = self.created()
        fetch = self.patch("cinder.image.image_utils.fetch_to_raw")
        convert = self.patch("cinder.image.image_utils.convert_image",
                             side_effect=lambda _plain, made, *_rest, **_more: self.write(made))
        self.driver.copy_image_to_encrypted_volume(self.ctxt, volume, "images", "image-1")
        self.assertEqual(fetch.call_args.args[3], convert.call_args.args[0])
        self.assertEqual("luks", convert.call_args.args[2])
        self.copy.assert_called_once_with(mock.ANY, f"/mnt/here/{volume.name}", 2, mock.ANY)

    def test_image_that_does_not_fit_with_its_header(self) -> None:
        self.size = (1 << 30) + 1
        self.assertRaises(exception.ImageTooBig, self.driver.create_volume,
                          self.volume(encryption_key_id=KEY))
        self.copy.assert_not_called()
