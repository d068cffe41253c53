# SPDX-License-Identifier: BSD-2-Clause
"""Where a volume's blocks are to lie: what its type says, which nodes that means, what to move.

All pure: no I/O, no clock.
"""
from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from oslo_utils import strutils

from cinder import exception
from cinder.i18n import _

PREFIX = "ukai:"
REPLICAS_MAX = 8
BLOCK_BYTES_MIN = 64 * 1024
BLOCK_BYTES_MAX = 64 * 1024 * 1024
SIZE = re.compile(r"(\d+)(?:([KM])(?:iB)?)?")
SUFFIX_BYTES = {None: 1, "K": 1024, "M": 1024 * 1024}


@dataclass(frozen=True)
class Node:
    """A storage node. `usable`: it is up and takes new locations."""

    name: str
    site: str
    usable: bool
    capacity_bytes: int
    free_bytes: int

    @staticmethod
    def of(entry: Mapping[str, Any]) -> Node:
        """From an entry of `node list`."""
        usable = bool(entry["up"]) and entry["admin_state"] == "active" and not entry["damage"]
        return Node(entry["id"], entry["site"] or "", usable,
                    entry["capacity_bytes"] or 0, entry["free_bytes"] or 0)


@dataclass(frozen=True)
class Placement:
    """What a volume type asks for. Either locations, or sites with their number of replicas."""

    locations: tuple[str, ...]
    sites: tuple[tuple[str, int], ...]
    replicas: int
    stripe: bool
    block_bytes: Optional[int]


@dataclass(frozen=True)
class Disk:
    """How a disk lies now."""

    nodes: tuple[str, ...]
    replicas: int
    striped: bool
    block_bytes: int

    @staticmethod
    def of(entry: Mapping[str, Any]) -> Disk:
        """From `disk info` or an entry of `disk list`."""
        return Disk(tuple(entry["nodes"]), entry["replicas"], entry["striped"],
                    entry["block_size_bytes"])


@dataclass(frozen=True)
class Moves:
    """Steps from one layout to another; done in this order, every block keeps its replicas."""

    relocations: tuple[tuple[str, str], ...] = ()
    additions: tuple[str, ...] = ()
    removals: tuple[str, ...] = ()


def within(site: str, region: str) -> bool:
    """Whether `site` is `region` or below it."""
    return site == region or site.startswith(region + "/")


# -- what the type says

def parse(specs: Mapping[str, str], pool: str, replicas_default: int) -> Placement:
    """Errors: InvalidVolumeType, naming the extra spec."""
    ours = {key.removeprefix(PREFIX): value for key, value in specs.items()
            if key.startswith(PREFIX)}
    unknown = sorted(ours.keys() - {"locations", "sites", "replicas", "stripe", "block_size"})
    if unknown:
        raise _bad(unknown[0], _("there is no such extra spec"))
    if "locations" in ours and "sites" in ours:
        raise _bad("locations", _("the type has ukai:sites as well; one of them decides"))
    replicas = _number("replicas", ours["replicas"]) if "replicas" in ours else None
    stripe = _boolean("stripe", ours.get("stripe", "false"))
    block_bytes = _block_bytes(ours["block_size"]) if "block_size" in ours else None
    if "locations" in ours:
        return _at_locations(_words("locations", ours["locations"]), replicas, stripe, block_bytes)
    if "sites" in ours:
        sites = _sites(_words("sites", ours["sites"]), replicas)
    else:
        sites = ((pool, replicas or replicas_default),)
    return Placement((), sites, sum(count for _site, count in sites), stripe, block_bytes)


def _bad(key: str, reason: str) -> exception.InvalidVolumeType:
    return exception.InvalidVolumeType(reason=f"{PREFIX}{key}: {reason}")


def _words(key: str, value: str) -> list[str]:
    words = [word.strip() for word in value.split(",")]
    if not all(words):
        raise _bad(key, _("'%s' is no list with commas") % value)
    if len(set(words)) != len(words):
        raise _bad(key, _("'%s' names something twice") % value)
    return words


def _number(key: str, value: str) -> int:
    if not value.strip().isdecimal() or not 1 <= int(value) <= REPLICAS_MAX:
        raise _bad(key, _("'%(value)s' is no number from 1 to %(max)d")
                   % {"value": value, "max": REPLICAS_MAX})
    return int(value)


def _boolean(key: str, value: str) -> bool:
    try:
        return bool(strutils.bool_from_string(value.removeprefix("<is>").strip(), strict=True))
    except ValueError as failure:
        raise _bad(key, _("'%s' is neither true nor false") % value) from failure


def _block_bytes(value: str) -> int:
    match = SIZE.fullmatch(value.strip())
    size = int(match[1]) * SUFFIX_BYTES[match[2]] if match else 0
    if not BLOCK_BYTES_MIN <= size <= BLOCK_BYTES_MAX or size & (size - 1):
        raise _bad("block_size", _("'%s' is no power of two from 64KiB to 64MiB") % value)
    return size


def _at_locations(nodes: list[str], replicas: Optional[int], stripe: bool,
                  block_bytes: Optional[int]) -> Placement:
    if replicas is None:
        replicas = 1 if stripe else len(nodes)
    if replicas > len(nodes):
        raise _bad("replicas", _("%(replicas)d replicas do not fit on the %(nodes)d nodes of "
                                 "ukai:locations") % {"replicas": replicas, "nodes": len(nodes)})
    used = nodes if stripe else nodes[:replicas]
    return Placement(tuple(used), (), replicas, stripe, block_bytes)


def _sites(words: list[str], replicas: Optional[int]) -> tuple[tuple[str, int], ...]:
    """SITE=COUNT says how many replicas a site has; without counts they are shared out."""
    if any("=" in word for word in words):
        pairs = [word.rpartition("=") for word in words]
        sites = tuple((site, _number("sites", count)) for site, _equals, count in pairs)
        total = sum(count for _site, count in sites)
        if not all(site for site, _count in sites) or len(dict(sites)) != len(sites):
            raise _bad("sites", _("each site once, as SITE=COUNT"))
        if replicas not in (None, total):
            raise _bad("replicas", _("ukai:sites has %d replicas") % total)
        if total > REPLICAS_MAX:
            raise _bad("sites", _("more than %d replicas") % REPLICAS_MAX)
        return sites
    total = replicas or len(words)
    if total < len(words):
        raise _bad("replicas", _("ukai:sites has %d sites") % len(words))
    share, more = divmod(total, len(words))
    return tuple((site, share + (number < more)) for number, site in enumerate(words))


# -- which nodes that means

def in_pool(placement: Placement, pool: str, nodes: Iterable[Node]) -> bool:
    """Whether some replica of such a volume is to lie in the pool."""
    if placement.locations:
        return any(within(node.site, pool) for node in nodes if node.name in placement.locations)
    return any(within(site, pool) or within(pool, site) for site, _count in placement.sites)


def choose(placement: Placement, nodes: Collection[Node], held: Collection[str] = ()) -> list[str]:
    """The nodes for a disk, the emptiest ones first; those of `held`, which have it, before all.

    A stripe goes over all nodes that the sites have in equal shares: any `replicas` neighbours in
    the list are spread over the sites as asked.
    Errors: VolumeBackendAPIException when a site has not enough nodes.
    """
    if placement.locations:
        return list(placement.locations)
    taken: set[str] = set()
    by_site: list[list[str]] = []
    for site, count in placement.sites:
        free = sorted((node for node in nodes if node.usable and within(node.site, site)
                       and node.name not in taken),
                      key=lambda node: (node.name not in held, -node.free_bytes, node.name))
        if len(free) < count:
            raise exception.VolumeBackendAPIException(
                data=_("site %(site)s has %(have)d usable storage nodes, %(need)d are needed")
                % {"site": site, "have": len(free), "need": count})
        by_site.append([node.name for node in free])
        taken.update(by_site[-1] if placement.stripe else by_site[-1][:count])
    counts = [count for _site, count in placement.sites]
    rounds = 1
    if placement.stripe:
        rounds = min(len(names) // count for names, count in zip(by_site, counts))
    return [name for turn in range(rounds) for names, count in zip(by_site, counts)
            for name in names[turn * count:(turn + 1) * count]]


def layout(placement: Placement, nodes: Sequence[str]) -> list[str]:
    """The options of `disk create`."""
    options = [f"--location={','.join(nodes)}"]
    if placement.stripe:
        options += ["--stripe", f"--replicas={placement.replicas}"]
    if placement.block_bytes:
        options.append(f"--block-size={placement.block_bytes}")
    return options


# -- what to move

def moves(disk: Disk, placement: Placement, wanted: Sequence[str]) -> Optional[Moves]:
    """None when moving blocks does not lead there: another block size, or another stripe."""
    if placement.block_bytes not in (None, disk.block_bytes) or placement.stripe != disk.striped:
        return None
    if disk.striped and not placement.locations:
        wanted = wanted[:len(disk.nodes)]  # `choose` would use nodes that came later as well
    extra = [node for node in disk.nodes if node not in wanted]
    lacking = [node for node in wanted if node not in disk.nodes]
    if disk.striped:
        # One after the other takes a place in the stripe; which one does not matter on one site.
        if (len(disk.nodes) != len(wanted) or disk.replicas != placement.replicas
                or (extra and len(placement.sites) > 1)):
            return None
    elif disk.replicas != len(disk.nodes):
        # Some block is not on all of the nodes, so that relocating would leave it out.
        return Moves(additions=tuple(wanted), removals=tuple(extra))
    pairs = min(len(extra), len(lacking))
    return Moves(tuple(zip(extra, lacking)), tuple(lacking[pairs:]), tuple(extra[pairs:]))


# -- how much fits

def usable_bytes(amounts: Iterable[int], replicas: int) -> int:
    """How much fits on nodes with these amounts when each byte goes to `replicas` of them (or to
    all, when they are fewer): no node can hold two replicas of a block."""
    rest = sorted(amounts)
    left = min(replicas, len(rest))
    while left > 1 and rest[-1] * left > sum(rest):
        rest.pop()  # it can hold one replica of everything; the others must hold what is left
        left -= 1
    return sum(rest) // left if left else 0
