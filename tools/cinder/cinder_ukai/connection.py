# SPDX-License-Identifier: BSD-2-Clause
"""Which host may write a disk, and how Nova and os-brick find its file there."""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from cinder import exception
from cinder.i18n import _

from cinder_ukai import ctl

LOG = logging.getLogger(__name__)

# An empty list of hosts means anybody. This name, which no host has, is on the list of each of
# Cinder's disks, so that a disk that is attached nowhere may be written by nobody.
NOBODY = "nobody"


class Hosts:
    """The running hosts of the cluster, by the names that connectors carry."""

    def __init__(self, ukai: ctl.Ukaictl, names: Mapping[str, str]) -> None:
        self._ukai = ukai
        self._names = names

    def name(self, connector_host: str, known: list[str]) -> str:
        """UKAI's name of the host; `known` are the candidates beside the configured name."""
        short = connector_host.split(".", 1)[0]
        if connector_host in self._names:
            return self._names[connector_host]
        return connector_host if connector_host in known or short not in known else short

    def find(self, connector: Mapping[str, Any]) -> ctl.Document:
        """The host's entry of `host list`.

        Errors: InvalidConnectorException without a host, VolumeBackendAPIException when no ukaid
        runs there.
        """
        if not connector.get("host"):
            raise exception.InvalidConnectorException(missing="host")
        hosts = {host["id"]: host for host in self._ukai.hosts()}
        name = self.name(connector["host"], list(hosts))
        if name not in hosts:
            raise exception.VolumeBackendAPIException(
                data=_("no ukaid runs on host %(host)s (as UKAI's host %(name)s; see "
                       "ukai_host_names)") % {"host": connector["host"], "name": name})
        return hosts[name]


def info(how: str, mount_point: str, file_name: str, access_mode: str) -> dict[str, Any]:
    """connection_info for a file on the mount. `how` is the option ukai_connection_type."""
    path = os.path.join(mount_point, file_name)
    data: dict[str, Any] = {"name": file_name, "device_path": path, "access_mode": access_mode}
    shown: dict[str, Any] = {"driver_volume_type": how, "data": data}
    if how == "nfs":
        data.update(export=mount_point, options="-o bind", format="raw")
        # Where os-brick mounts it for Cinder itself; Nova has a place of its own.
        shown["mount_point_base"] = os.path.join(cfg.CONF.state_path, "mnt")
    return shown


class Grants:
    """Who may write a disk. All is in UKAI: nothing is remembered here."""

    def __init__(self, ukai: ctl.Ukaictl) -> None:
        self._ukai = ukai

    def close(self, name: str) -> None:
        self._ukai.allow(name, [NOBODY])

    def reopen(self, name: str) -> None:
        """To anybody, as `ukaictl disk create` leaves a disk."""
        self._ukai.deny(name, self._ukai.disk(name)["allowed_hosts"])

    def allow(self, name: str, hosts: list[str]) -> None:
        self._ukai.allow(name, [NOBODY, *hosts])

    def has(self, name: str, host: str) -> bool:
        return host in self._ukai.disk(name)["allowed_hosts"]

    def hosts(self, name: str) -> list[str]:
        """Those that may still be writing: on the list, or off it and holding the lease yet, as a
        detach by force that has failed half-way leaves a host."""
        disk = self._ukai.disk(name)
        hosts = [host for host in disk["allowed_hosts"] if host != NOBODY]
        lease = disk["lease"]
        if lease and lease["type"] != "admin" and lease["holder"] not in hosts:
            hosts.append(lease["holder"])
        return hosts

    def deny(self, name: str, hosts: list[str]) -> None:
        if hosts:
            self._ukai.deny(name, hosts)

    def fence(self, name: str, hosts: list[str]) -> None:
        """Takes hosts off that may still be writing: their lease ends first, so that nothing that
        they still send counts once another host has the disk."""
        self._end_lease(name, hosts)
        self.deny(name, hosts)
        # A host may have taken it again before it was off the list. From now on it does so for a
        # job only, under which its guests do not write.
        self._end_lease(name, hosts)

    def _end_lease(self, name: str, hosts: list[str]) -> None:
        if self._ukai.disk(name)["holder"] in hosts:
            LOG.warning("Breaking the lease of disk %s", name)
            self._ukai.break_lease(name)
