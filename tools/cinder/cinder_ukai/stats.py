# SPDX-License-Identifier: BSD-2-Clause
"""The pools' figures for Cinder's scheduler. Pure."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from oslo_utils import units

from cinder_ukai import placement
from cinder_ukai.placement import Node

Document = Mapping[str, Any]


def pool_names(sites: Sequence[str], nodes: Iterable[Node]) -> list[str]:
    """The configured sites, else each that has a node."""
    return list(sites) or sorted({node.site for node in nodes})


def pool_of(node_names: Iterable[str], pools: Sequence[str], nodes: Iterable[Node]) -> str | None:
    """The first pool that has one of these nodes."""
    sites = {node.name: node.site for node in nodes}
    return next((pool for name in node_names for pool in pools
                 if placement.within(sites.get(name, ""), pool)), None)


def _bytes_on(disk: Document, names: set[str]) -> float:
    """How much a full disk has on these nodes."""
    there = sum(name in names for name in disk["nodes"])
    return float(disk["size_bytes"] * disk["replicas"] * there / max(len(disk["nodes"]), 1))


def _gib(amount: float) -> float:
    return round(float(amount / units.Gi), 2)


def capacity(pool: str, nodes: Sequence[Node], disks: Sequence[Document],
             replicas: int) -> dict[str, Any]:
    """In GiB of volumes with `replicas` replicas, as many as the pool's nodes can keep apart. A
    node that is down or drained counts for nothing."""
    usable = [node for node in nodes if node.usable and placement.within(node.site, pool)]
    names = {node.name for node in nodes if placement.within(node.site, pool)}
    copies = max(min(replicas, len(usable)), 1)
    there = [disk for disk in disks if names & set(disk["nodes"])]
    return {
        "total_capacity_gb": _gib(placement.usable_bytes(
            (node.capacity_bytes for node in usable), copies)),
        "free_capacity_gb": _gib(placement.usable_bytes(
            (node.free_bytes for node in usable), copies)),
        "provisioned_capacity_gb": _gib(sum(_bytes_on(disk, names) for disk in there) / copies),
        "total_volumes": len(there),
    }
