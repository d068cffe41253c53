# SPDX-License-Identifier: BSD-2-Clause
"""The volume driver: Cinder's operations as commands of ukaictl."""
from __future__ import annotations

from typing import Any, Optional

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import units

from cinder import exception
from cinder import interface
from cinder.i18n import _

from cinder_ukai import connection
from cinder_ukai import ctl
from cinder_ukai import health
from cinder_ukai import options
from cinder_ukai import placement
from cinder_ukai import stats
from cinder_ukai.base import (VOLUME_NOTE, file_of, patiently, snap_name, snapshot_errors,
                              volume_errors)
from cinder_ukai.images import Images
from cinder_ukai.manageable import Manageable
from cinder_ukai.mover import Mover

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

PROTOCOL = "UKAI"
Model = Optional[dict[str, Any]]


@interface.volumedriver
class UkaiDriver(Manageable, Images):
    """Volumes that are disks of UKAI.

    Version history:
        1.0.0 - First version.
    """

    VERSION = "1.0.0"
    CI_WIKI_NAME = "UKAI_CI"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._mover: Mover
        self._watch = health.Watch(self._look, self.configuration.ukai_check_interval)
        self._notes = health.ReplicationNotes(self.db, self.host)
        self._servers = ""

    @classmethod
    def get_driver_options(cls) -> list[Any]:
        return list(options.ukai_opts)

    # -- life

    def do_setup(self, context: Any) -> None:
        conf = self.configuration
        where = []
        if conf.ukai_config_file:
            where.append(f"--config={conf.ukai_config_file}")
        if conf.ukai_metadata:
            where.append(f"--metadata={conf.ukai_metadata}")
        self._ukai = ctl.Ukaictl(self._execute, conf.ukai_ctl_path, where, conf.ukai_timeout)
        self._hosts = connection.Hosts(self._ukai, conf.ukai_host_names)
        self._grants = connection.Grants(self._ukai)
        self._mover = Mover(self._ukai, conf.ukai_move_rate, conf.ukai_move_timeout)

    def check_for_setup_error(self) -> None:
        conf = self.configuration
        if not conf.ukai_metadata and not conf.ukai_config_file:
            raise exception.InvalidConfigurationValue(option="ukai_metadata",
                                                      value=conf.ukai_metadata)
        self._look()
        nodes = self._nodes()
        for pool in stats.pool_names(conf.ukai_sites, nodes):
            if not any(placement.within(node.site, pool) for node in nodes):
                raise exception.InvalidConfigurationValue(option="ukai_sites", value=pool)
        if not nodes:
            raise exception.VolumeBackendAPIException(data=_("UKAI has no storage node yet"))
        self._servers = _canonical(self._ukai.servers())

    def set_initialized(self) -> None:
        super().set_initialized()
        self._watch.start()

    @property
    def initialized(self) -> bool:
        """False while UKAI does not answer: the service then sends no heartbeat, and refuses work
        at once instead of letting it time out."""
        return bool(super().initialized) and self._watch.well

    def _look(self) -> None:
        """Errors: when the metadata servers or the ukaid of this machine are not there."""
        self._here()

    # -- volumes

    def create_volume(self, volume: Any) -> Model:
        if volume.multiattach:
            raise exception.InvalidInput(
                reason=_("a UKAI disk is written by one host at a time: multiattach is not there"))
        nodes = self._nodes()
        pool = self._pool(volume.host, nodes)
        wish = self._placement(volume.volume_type, pool)
        if not placement.in_pool(wish, pool, nodes):
            raise exception.InvalidVolumeType(
                reason=_("none of its replicas is to lie in pool %s; give the type the extra "
                         "spec pool_name") % pool)
        layout = placement.layout(wish, placement.choose(wish, nodes))
        with self._made(volume):
            self._create(volume, layout)
            self._grants.close(volume.name)
            if volume.encryption_key_id:
                self._format_encrypted(volume)
        return None

    def _create(self, volume: Any, layout: list[str]) -> None:
        size, meta = volume.size * units.Gi, {VOLUME_NOTE: volume.id}
        try:
            self._ukai.create(volume.name, size, layout, meta)
        except ctl.AlreadyExists:
            # Left by a try that this one follows: the scheduler goes from pool to pool.
            if self._ukai.disk(volume.name)["meta"].get(VOLUME_NOTE) != volume.id:
                raise
            patiently(lambda: self._ukai.delete(volume.name))
            self._ukai.create(volume.name, size, layout, meta)

    def delete_volume(self, volume: Any) -> None:
        with volume_errors(volume):
            patiently(lambda: self._ukai.delete(volume.name))

    def extend_volume(self, volume: Any, new_size: int) -> None:
        with volume_errors(volume):
            self._ukai.resize(volume.name, new_size * units.Gi)

    def create_cloned_volume(self, volume: Any, src_vref: Any) -> Model:
        with volume_errors(src_vref):
            self._clone(src_vref.name, src_vref.size, volume)
        return None

    def create_volume_from_snapshot(self, volume: Any, snapshot: Any) -> Model:
        with snapshot_errors(snapshot):
            self._clone(file_of(snapshot), snapshot.volume_size, volume)
        return None

    def _clone(self, source: str, source_gib: int, volume: Any) -> None:
        """A clone shares its source's blocks, and so lies where they do; then it may move."""
        with self._made(volume):
            self._ukai.clone(source, volume.name)
            self._adopt(volume)
            if volume.size > source_gib:
                self._ukai.resize(volume.name, volume.size * units.Gi)
            if not self._moved(volume.name, volume.volume_type, volume.host):
                raise exception.InvalidVolumeType(
                    reason=_("a clone keeps its source's block size and stripe"))

    # -- snapshots

    def create_snapshot(self, snapshot: Any) -> Model:
        with volume_errors(snapshot.volume):
            self._ukai.snapshot(snapshot.volume.name, snap_name(snapshot))
        return None

    def delete_snapshot(self, snapshot: Any) -> None:
        with snapshot_errors(snapshot):
            try:
                patiently(lambda: self._ukai.delete_snapshot(snapshot.volume.name,
                                                             snap_name(snapshot)))
            except ctl.NotFound:
                LOG.info("Snapshot %s is gone already", file_of(snapshot))

    def revert_to_snapshot(self, context: Any, volume: Any, snapshot: Any) -> None:
        with snapshot_errors(snapshot):
            patiently(lambda: self._ukai.rollback(volume.name, snap_name(snapshot)))

    def snapshot_revert_use_temp_snapshot(self) -> bool:
        return False  # a rollback is one change of metadata: there is no half of it

    def backup_use_temp_snapshot(self) -> bool:
        return True

    # -- attaching: nothing is exported; a host on the disk's list sees a file it may write

    def ensure_export(self, context: Any, volume: Any) -> None:
        """Gives the hosts of an attached volume their right again. Never raises: the manager
        would take a volume in use for broken."""
        try:
            hosts = {host["id"]: host for host in self._ukai.hosts()}
            named = [attachment.connector["host"] for attachment in volume.volume_attachment
                     if attachment.connector and attachment.connector.get("host")]
            self._grants.allow(volume.name,
                               [self._hosts.name(host, list(hosts)) for host in named])
        except exception.CinderException as failure:
            LOG.warning("Volume %s: its hosts are not confirmed: %s", volume.id, failure)

    def create_export(self, context: Any, volume: Any, connector: Any) -> Model:
        return None

    def remove_export(self, context: Any, volume: Any) -> None:
        pass

    def validate_connector(self, connector: Any) -> None:
        if not connector.get("host"):
            raise exception.InvalidConnectorException(missing="host")

    def initialize_connection(self, volume: Any, connector: Any,
                              **kwargs: Any) -> dict[str, Any]:
        with volume_errors(volume):
            host = self._hosts.find(connector)
            self._grants.allow(volume.name, [host["id"]])
        mode = "ro" if connector.get("mode") == "ro" else "rw"
        return connection.info(self.configuration.ukai_connection_type, host["mount_point"],
                               volume.name, mode)

    def terminate_connection(self, volume: Any, connector: Any, **kwargs: Any) -> bool:
        """True when another guest on the host goes on using the volume."""
        try:
            if not connector or not connector.get("host"):
                self._grants.fence(volume.name, self._grants.hosts(volume.name))
                return False
            if _attachments(volume, connector["host"]) > 1:
                return True
            host = self._hosts.name(connector["host"], self._grants.hosts(volume.name))
            revoke = self._grants.fence if kwargs.get("force") else self._grants.deny
            revoke(volume.name, [host])
        except ctl.NotFound:
            LOG.info("Disk %s is gone already", volume.name)
        return False

    # A snapshot is a file that any host may read.

    def create_export_snapshot(self, context: Any, snapshot: Any, connector: Any) -> Model:
        return None

    def remove_export_snapshot(self, context: Any, snapshot: Any) -> None:
        pass

    def initialize_connection_snapshot(self, snapshot: Any, connector: Any,
                                       **kwargs: Any) -> dict[str, Any]:
        host = self._hosts.find(connector)
        return connection.info(self.configuration.ukai_connection_type, host["mount_point"],
                               file_of(snapshot), "ro")

    def terminate_connection_snapshot(self, snapshot: Any, connector: Any,
                                      **kwargs: Any) -> None:
        pass

    # -- moving

    def retype(self, context: Any, volume: Any, new_type: Any, diff: Any,
               host: Any) -> tuple[bool, Model]:
        """Moves the blocks, in use or not. False when that is not enough: another block size or
        stripe, which Cinder can copy to if its policy allows."""
        with volume_errors(volume):
            return self._moved_to(volume.name, new_type, host), None

    def migrate_volume(self, context: Any, volume: Any, host: Any) -> tuple[bool, Model]:
        """Within one UKAI, to another pool, or to a back end that has it as a pool."""
        if host["capabilities"].get("location_info") != self._location_info():
            return False, None
        with volume_errors(volume):
            return self._moved_to(volume.name, volume.volume_type, host), None

    def _moved_to(self, name: str, volume_type: Any, host: Any) -> bool:
        """The target may be a pool of another back end, with another number of replicas."""
        return self._moved(name, volume_type, host["host"],
                           host.get("capabilities", {}).get("ukai_replicas"))

    def _moved(self, name: str, volume_type: Any, host: str,
               replicas: Optional[int] = None) -> bool:
        nodes = self._nodes()
        pool = self._pool(host, nodes)
        wish = self._placement(volume_type, pool, replicas)
        if not placement.in_pool(wish, pool, nodes):
            raise exception.InvalidVolumeType(
                reason=_("none of its replicas is to lie in pool %s") % pool)
        disk = placement.Disk.of(self._ukai.disk(name))
        moves = placement.moves(disk, wish, placement.choose(wish, nodes, disk.nodes))
        if moves is None:
            return False
        self._mover.move(name, moves)
        return True

    def update_migrated_volume(self, ctxt: Any, volume: Any, new_volume: Any,
                               original_volume_status: str) -> Model:
        """The copy gets the volume's name, unless a guest has it open, or the original has it."""
        keep = {"_name_id": new_volume.name_id,
                "provider_location": new_volume.provider_location}
        if original_volume_status == "in-use":
            return keep
        try:
            self._ukai.rename(new_volume.name, CONF.volume_name_template % volume.id)
        except ctl.UkaiError as failure:
            LOG.info("Volume %s keeps the disk's name %s: %s", volume.id, new_volume.name, failure)
            return keep
        return {"_name_id": None, "provider_location": None}

    # -- figures

    def get_pool(self, volume: Any) -> Optional[str]:
        nodes = self._nodes()
        pools = stats.pool_names(self.configuration.ukai_sites, nodes)
        return stats.pool_of(self._ukai.disk(volume.name)["nodes"], pools, nodes)

    def _location_info(self) -> str:
        return f"{PROTOCOL}:{self._servers}"

    def _update_volume_stats(self) -> None:
        nodes = self._nodes()
        disks = self._ukai.disks()
        self._notes.update(disks)
        self._sweep()
        pools = stats.pool_names(self.configuration.ukai_sites, nodes)
        self._stats = {
            "volume_backend_name": (self.configuration.safe_get("volume_backend_name")
                                    or self.__class__.__name__),
            "vendor_name": "UKAI",
            "driver_version": self.VERSION,
            "storage_protocol": PROTOCOL,
            "pools": [self._pool_stats(pool, nodes, disks) for pool in pools],
        }

    def _pool_stats(self, pool: str, nodes: list[placement.Node],
                    disks: list[ctl.Document]) -> dict[str, Any]:
        conf = self.configuration
        return {
            "pool_name": pool,
            **stats.capacity(pool, nodes, disks, conf.ukai_replicas),
            "thin_provisioning_support": True,
            "thick_provisioning_support": False,
            "max_over_subscription_ratio": conf.safe_get("max_over_subscription_ratio"),
            "reserved_percentage": conf.safe_get("reserved_percentage"),
            "multiattach": False,
            "online_extend_support": conf.ukai_connection_type == "nfs",
            "QoS_support": False,
            "sparse_copy_volume": True,
            "consistent_group_snapshot_enabled": False,
            "replication_enabled": False,
            "location_info": self._location_info(),
            "ukai_replicas": conf.ukai_replicas,
            "filter_function": self.get_filter_function(),
            "goodness_function": self.get_goodness_function(),
        }

    def _init_vendor_properties(self) -> tuple[dict[str, Any], str]:
        properties: dict[str, Any] = {}
        for key, what in (
                ("locations", _("Storage nodes, with commas: one replica on each")),
                ("sites", _("Sites, with commas, each SITE=REPLICAS or SITE")),
                ("replicas", _("Number of replicas")),
                ("stripe", _("Whether the blocks are spread over the nodes in turn")),
                ("block_size", _("Size of a block, as 4MiB"))):
            self._set_property(properties, placement.PREFIX + key, f"UKAI {key}", what, "string")
        return properties, "ukai"


def _attachments(volume: Any, host: str) -> int:
    """How often the volume is attached on the host: twice while Nova resizes a guest in place."""
    return sum(host in (attachment.attached_host, (attachment.connector or {}).get("host"))
               for attachment in volume.volume_attachment)


def _canonical(servers: str) -> str:
    """The same for every order of the servers."""
    hosts, _slash, chroot = servers.partition("/")
    return "/".join([",".join(sorted(hosts.split(","))), chroot])
