# SPDX-License-Identifier: BSD-2-Clause
"""The driver's options, for the back end's section of cinder.conf."""
from oslo_config import cfg

from cinder.volume import configuration

ukai_opts = [
    cfg.StrOpt("ukai_metadata",
               help="UKAI's metadata servers, HOST:PORT[,HOST:PORT...][/CHROOT]. This or "
                    "ukai_config_file is needed."),
    cfg.StrOpt("ukai_config_file",
               help="A configuration file for ukaictl's --config: metadata servers, keys."),
    cfg.StrOpt("ukai_ctl_path", default="ukaictl",
               help="The ukaictl program."),
    cfg.IntOpt("ukai_timeout", default=10, min=1, max=600,
               help="Seconds that ukaictl may wait for metadata servers and daemons. A ukaictl "
                    "that has not ended 30 seconds later is killed."),
    cfg.ListOpt("ukai_sites", default=[],
                help="Sites to report as pools, each with the storage nodes at it and below it. "
                     "None: every site that has a node."),
    cfg.IntOpt("ukai_replicas", default=2, min=1, max=8,
               help="Replicas of volumes whose type does not say (extra specs ukai:replicas, "
                    "ukai:sites, ukai:locations). The pools' sizes are in GiB that have so many "
                    "replicas."),
    cfg.DictOpt("ukai_host_names", default={},
                help="UKAI's name of a host where it is neither the host's name in Nova (for "
                     "cinder-volume and cinder-backup: the machine's) nor its part before the "
                     "first dot: NOVA_NAME:UKAI_NAME,..."),
    cfg.StrOpt("ukai_connection_type", default="gpfs", choices=("gpfs", "nfs"),
               help="How Nova gets to a disk. gpfs: the file on ukaid's mount as it is; volumes "
                    "in use are not extended. nfs: through a bind mount of ukaid's mount; Nova "
                    "can extend volumes in use, but the bind mount goes stale when ukaid is "
                    "started anew."),
    cfg.StrOpt("ukai_move_rate",
               help="What a retype or migration may copy at most in a second, as 50MiB. "
                    "None: unlimited."),
    cfg.IntOpt("ukai_move_timeout", default=86400, min=1,
               help="Seconds after which a retype or migration is given up."),
    cfg.IntOpt("ukai_check_interval", default=10, min=1,
               help="Seconds between two looks at UKAI's health. While the metadata servers or "
                    "the ukaid of this host do not answer, the service reports itself down."),
]

configuration.CONF.register_opts(ukai_opts, group=configuration.SHARED_CONF_GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator --namespace cinder_ukai."""
    return [("backend_defaults", ukai_opts)]
