# SPDX-License-Identifier: BSD-2-Clause
"""Images to volumes and back, through the file on this machine's mount."""
from __future__ import annotations

import binascii
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from castellan import key_manager
from oslo_config import cfg
from oslo_utils import units

from cinder import exception
from cinder.i18n import _
from cinder.image import image_utils
from cinder.volume import volume_utils

from cinder_ukai.base import UkaiBase, volume_errors

LUKS_BYTES = units.Mi  # payload of the container whose header a new encrypted volume gets


class Images(UkaiBase):
    """The part of the driver that copies data, on the machine of cinder-volume.

    It does not use the inherited way, which attaches and detaches this machine like any host: a
    guest that runs here would lose its right to write when the copy is done.
    """

    def _path_here(self, file_name: str) -> str:
        return os.path.join(self._here()["mount_point"], file_name)

    @contextmanager
    def _writable_here(self, volume: Any) -> Iterator[str]:
        """The volume's file on this machine, which may write it meanwhile."""
        with volume_errors(volume):
            here = self._here()
            had = self._grants.has(volume.name, here["id"])
            self._grants.allow(volume.name, [here["id"]])
        try:
            yield os.path.join(here["mount_point"], volume.name)
        finally:
            if not had:
                self._grants.deny(volume.name, [here["id"]])

    def copy_image_to_volume(self, context: Any, volume: Any, image_service: Any,
                             image_id: str) -> None:
        """Fills a volume with an image."""
        with self._writable_here(volume) as path:
            image_utils.fetch_to_raw(context, image_service, image_id, path,
                                     self.configuration.volume_dd_blocksize, size=volume.size)

    def copy_volume_to_image(self, context: Any, volume: Any, image_service: Any,
                             image_meta: Any) -> None:
        """Makes an image of a volume. Reading needs no right."""
        volume_utils.upload_volume(context, image_service, image_meta,
                                   self._path_here(volume.name), volume, compress=True)

    # -- encrypted volumes: LUKS, which the guest's host opens

    def copy_image_to_encrypted_volume(self, context: Any, volume: Any, image_service: Any,
                                       image_id: str) -> None:
        """Fills a volume with an image, encrypted on this machine."""
        with tempfile.TemporaryDirectory(dir=volume_utils.image_conversion_dir()) as folder:
            plain = os.path.join(folder, "plain")
            encrypted = os.path.join(folder, "luks")
            image_utils.fetch_to_raw(context, image_service, image_id, plain,
                                     self.configuration.volume_dd_blocksize, size=volume.size)
            with self._secret(context, volume, folder) as (cipher, secret):
                image_utils.convert_image(plain, encrypted, "luks", src_format="raw",
                                          cipher_spec=cipher, passphrase_file=secret)
            self._fill(volume, encrypted)

    def _format_encrypted(self, volume: Any) -> None:
        """Writes a LUKS header to a new volume: Nova opens, but does not format it."""
        with tempfile.TemporaryDirectory(dir=volume_utils.image_conversion_dir()) as folder:
            container = os.path.join(folder, "luks")
            with self._secret(volume.obj_context, volume, folder) as (cipher, secret):
                spec = ",".join(f"{key.replace('_', '-')}={value}"
                                for key, value in cipher.items())
                self._execute("qemu-img", "create", "-f", "luks", "-o", spec,
                              "--object", f"secret,id=luks_sec,format=raw,file={secret}",
                              "-o", "key-secret=luks_sec", container, str(LUKS_BYTES))
            self._fill(volume, container)

    def _fill(self, volume: Any, source: str) -> None:
        if os.path.getsize(source) > volume.size * units.Gi:
            raise exception.ImageTooBig(
                image_id=volume.id, reason=_("with its LUKS header it is larger than the volume"))
        with self._writable_here(volume) as path:
            volume_utils.copy_volume(source, path, math.ceil(os.path.getsize(source) / units.Mi),
                                     self.configuration.volume_dd_blocksize)

    @contextmanager
    def _secret(self, context: Any, volume: Any,
                folder: str) -> Iterator[tuple[dict[str, str], str]]:
        """The cipher, and a file with the passphrase that is there only within."""
        encryption = volume_utils.check_encryption_provider(volume, context)
        key = key_manager.API(cfg.CONF).get(context, encryption["encryption_key_id"])
        cipher = image_utils.decode_cipher(encryption["cipher"], encryption["key_size"])
        with tempfile.NamedTemporaryFile("w", dir=folder) as secret:
            secret.write(binascii.hexlify(key.get_encoded()).decode())
            secret.flush()
            yield cipher, secret.name
