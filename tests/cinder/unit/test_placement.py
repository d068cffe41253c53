# SPDX-License-Identifier: BSD-2-Clause
"""What a volume type means: pure functions."""
from __future__ import annotations

import unittest

import ddt

from cinder import exception

from cinder_ukai import placement
from cinder_ukai import stats
from cinder_ukai.placement import Disk, Moves, Node, Placement

GIB = 1 << 30


def node(name: str, site: str, free: int = 50, usable: bool = True) -> Node:
    return Node(name, site, usable, 100 * GIB, free * GIB)


NODES = [node("t1", "jp/tokyo/a", 10), node("t2", "jp/tokyo/b", 30), node("t3", "jp/tokyo/b", 20),
         node("o1", "jp/osaka", 40), node("o2", "jp/osaka", 50), node("x", "jp/osaka-2", 99)]


def parse(**specs: str) -> Placement:
    ours = {f"ukai:{key}": value for key, value in specs.items()}
    return placement.parse({"volume_backend_name": "u", **ours}, "jp/tokyo", 2)


@ddt.ddt
class ParseTestCase(unittest.TestCase):
    def test_nothing_said_is_the_pool_and_the_default(self) -> None:
        self.assertEqual(Placement((), (("jp/tokyo", 2),), 2, False, None), parse())

    def test_all_of_it(self) -> None:
        self.assertEqual(
            Placement((), (("jp/tokyo", 1), ("jp/osaka", 1)), 2, True, 1 << 20),
            parse(sites="jp/tokyo=1, jp/osaka=1", replicas="2", stripe="<is> True",
                  block_size="1MiB"))

    @ddt.data(("a,b", None, (("a", 1), ("b", 1))), ("a,b", "3", (("a", 2), ("b", 1))),
              ("a=2,b=1", None, (("a", 2), ("b", 1))), ("a", "2", (("a", 2),)))
    @ddt.unpack
    def test_sites_share_the_replicas(self, sites: str, replicas: str | None,
                                      wanted: tuple[tuple[str, int], ...]) -> None:
        specs = {"sites": sites, **({"replicas": replicas} if replicas else {})}
        self.assertEqual(wanted, parse(**specs).sites)

    def test_locations(self) -> None:
        self.assertEqual(("n1", "n2"), parse(locations="n1,n2").locations)
        self.assertEqual(("n1",), parse(locations="n1,n2", replicas="1").locations)
        striped = parse(locations="n1,n2,n3", replicas="2", stripe="yes")
        self.assertEqual((("n1", "n2", "n3"), 2), (striped.locations, striped.replicas))
        self.assertEqual(1, parse(locations="n1,n2", stripe="yes").replicas)

    @ddt.data(("64KiB", 65536), ("65536", 65536), ("4M", 4 << 20), ("64MiB", 64 << 20))
    @ddt.unpack
    def test_block_sizes(self, text: str, size: int) -> None:
        self.assertEqual(size, parse(block_size=text).block_bytes)

    @ddt.data(
        ({"replica": "2"}, "ukai:replica: there is no such extra spec"),
        ({"replicas": "0"}, "ukai:replicas: '0' is no number from 1 to 8"),
        ({"replicas": "9"}, "ukai:replicas: '9'"), ({"replicas": "x"}, "ukai:replicas: 'x'"),
        ({"stripe": "maybe"}, "ukai:stripe: 'maybe' is neither true nor false"),
        ({"block_size": "3MiB"}, "ukai:block_size: '3MiB' is no power of two"),
        ({"block_size": "32KiB"}, "ukai:block_size"), ({"block_size": "1G"}, "ukai:block_size"),
        ({"locations": "a,,b"}, "ukai:locations: 'a,,b' is no list"),
        ({"locations": "a,a"}, "ukai:locations: 'a,a' names something twice"),
        ({"locations": "a", "replicas": "2"}, "ukai:replicas: 2 replicas do not fit on the 1"),
        ({"locations": "a", "sites": "b"}, "ukai:locations: the type has ukai:sites as well"),
        ({"sites": "a=1,b"}, "ukai:sites"), ({"sites": "a=1,a=2"}, "ukai:sites: each site once"),
        ({"sites": "a=0"}, "ukai:sites: '0'"), ({"sites": "a=5,b=5"}, "more than 8 replicas"),
        ({"sites": "a=1,b=1", "replicas": "3"}, "ukai:replicas: ukai:sites has 2 replicas"),
        ({"sites": "a,b", "replicas": "1"}, "ukai:replicas: ukai:sites has 2 sites"))
    @ddt.unpack
    def test_bad_specs_are_named(self, specs: dict[str, str], line: str) -> None:
        with self.assertRaises(exception.InvalidVolumeType) as caught:
            parse(**specs)
        self.assertIn(line, str(caught.exception))


class ChooseTestCase(unittest.TestCase):
    def test_takes_the_emptiest_of_each_site(self) -> None:
        self.assertEqual(["t2", "t3", "o2"],
                         placement.choose(parse(sites="jp/tokyo=2,jp/osaka=1"), NODES))

    def test_keeps_what_is_held(self) -> None:
        self.assertEqual(["t1"], placement.choose(parse(replicas="1"), NODES, ["t1", "o1"]))

    def test_sites_within_each_other_share_no_node(self) -> None:
        self.assertEqual(["t2", "t3"],
                         placement.choose(parse(sites="jp/tokyo/b=1,jp/tokyo=1"), NODES))

    def test_stripe_alternates_between_sites(self) -> None:
        chosen = placement.choose(parse(sites="jp/tokyo,jp/osaka", stripe="1"), NODES)
        self.assertEqual(["t2", "o2", "t3", "o1"], chosen)

    def test_stripe_is_over_all_nodes_of_a_site(self) -> None:
        self.assertEqual(["t2", "t3", "t1"],
                         placement.choose(parse(replicas="1", stripe="1"), NODES))

    def test_locations_are_as_said(self) -> None:
        self.assertEqual(["o1", "t1"], placement.choose(parse(locations="o1,t1"), NODES))

    def test_too_few_nodes(self) -> None:
        nodes = [node("t1", "jp/tokyo"), node("t2", "jp/tokyo", usable=False)]
        with self.assertRaises(exception.VolumeBackendAPIException) as caught:
            placement.choose(parse(), nodes)
        self.assertIn("site jp/tokyo has 1 usable storage nodes, 2 are needed",
                      str(caught.exception))

    def test_in_pool(self) -> None:
        self.assertTrue(placement.in_pool(parse(sites="jp/osaka"), "jp/osaka", NODES))
        self.assertTrue(placement.in_pool(parse(sites="jp"), "jp/osaka", NODES))
        self.assertFalse(placement.in_pool(parse(sites="jp/osaka"), "jp/osaka-2", NODES))
        self.assertTrue(placement.in_pool(parse(locations="t1,o1"), "jp/osaka", NODES))
        self.assertFalse(placement.in_pool(parse(locations="t1"), "jp/osaka", NODES))

    def test_node_of_an_entry(self) -> None:
        entry: dict[str, object] = {
            "id": "n", "site": None, "up": True, "admin_state": "active", "damage": None,
            "capacity_bytes": 7, "free_bytes": None}
        self.assertEqual(Node("n", "", True, 7, 0), Node.of(entry))
        for key, value in (("up", False), ("admin_state", "draining"), ("damage", "bad record")):
            self.assertFalse(Node.of({**entry, key: value}).usable)


@ddt.ddt
class MovesTestCase(unittest.TestCase):
    plain = Disk(("a", "b"), 2, False, 4 << 20)
    striped = Disk(("a", "b", "c"), 2, True, 4 << 20)

    @ddt.data((["a", "b"], Moves()), (["b", "a"], Moves()),
              (["a", "c"], Moves((("b", "c"),))),
              (["c", "d", "e"], Moves((("a", "c"), ("b", "d")), ("e",))),
              (["b"], Moves(removals=("a",))),
              (["c"], Moves((("a", "c"),), (), ("b",))))
    @ddt.unpack
    def test_of_a_plain_disk(self, wanted: list[str], moves: Moves) -> None:
        wish = parse(locations=",".join(wanted))
        self.assertEqual(moves, placement.moves(self.plain, wish, wanted))

    def test_of_a_disk_that_lies_in_parts(self) -> None:
        parts = Disk(("a", "b", "c"), 1, False, 4 << 20)
        self.assertEqual(Moves((), ("a", "d"), ("b", "c")),
                         placement.moves(parts, parse(locations="a,d"), ["a", "d"]))

    def test_of_a_stripe_on_one_site(self) -> None:
        wish = parse(stripe="1", replicas="2")
        self.assertEqual(Moves((("c", "d"),)),
                         placement.moves(self.striped, wish, ["a", "b", "d"]))
        self.assertEqual(Moves(), placement.moves(self.striped, wish, ["a", "b", "c", "later"]))

    def test_that_do_not_lead_there(self) -> None:
        for disk, wish, wanted in (
                (self.plain, parse(block_size="1M"), ["a", "b"]),
                (self.plain, parse(stripe="1"), ["a", "b"]),
                (self.striped, parse(), ["a", "b"]),
                (self.striped, parse(stripe="1", replicas="2"), ["a", "b"]),
                (self.striped, parse(stripe="1", replicas="3"), ["a", "b", "c"]),
                (self.striped, parse(stripe="1", sites="s,t"), ["a", "b", "d"])):
            self.assertIsNone(placement.moves(disk, wish, wanted))


class FiguresTestCase(unittest.TestCase):
    def test_usable_bytes_keeps_replicas_apart(self) -> None:
        cases: list[tuple[list[int], int, int]] = [
            ([10, 10], 1, 20), ([10, 10], 2, 10), ([100, 10], 2, 10), ([6, 4, 2], 2, 6),
            ([100, 5, 5], 2, 10), ([7], 2, 7), ([9, 9, 9], 3, 9), ([], 2, 0), ([0, 0], 2, 0)]
        for amounts, replicas, usable in cases:
            self.assertEqual(usable, placement.usable_bytes(amounts, replicas), amounts)

    def test_layout(self) -> None:
        self.assertEqual(["--location=a,b"], placement.layout(parse(), ["a", "b"]))
        self.assertEqual(["--location=a,b", "--stripe", "--replicas=1", "--block-size=65536"],
                         placement.layout(parse(stripe="1", replicas="1", block_size="64K"),
                                          ["a", "b"]))

    def test_capacity_of_a_pool(self) -> None:
        disks = [{"nodes": ["t1", "t2"], "replicas": 2, "size_bytes": 10 * GIB},
                 {"nodes": ["t1", "o1"], "replicas": 2, "size_bytes": 10 * GIB},
                 {"nodes": ["t1", "t2", "t3", "o1"], "replicas": 2, "size_bytes": 8 * GIB},
                 {"nodes": ["o1"], "replicas": 1, "size_bytes": 10 * GIB}]
        self.assertEqual({"total_capacity_gb": 150.0, "free_capacity_gb": 30.0,
                          "provisioned_capacity_gb": 21.0, "total_volumes": 3},
                         stats.capacity("jp/tokyo", NODES, disks, 2))

    def test_capacity_without_a_usable_node(self) -> None:
        down = [node("t1", "jp/tokyo", usable=False)]
        self.assertEqual(0.0, stats.capacity("jp/tokyo", down, [], 2)["free_capacity_gb"])

    def test_pools(self) -> None:
        self.assertEqual(["jp/osaka", "jp/osaka-2", "jp/tokyo/a", "jp/tokyo/b"],
                         stats.pool_names([], NODES))
        self.assertEqual("jp/osaka", stats.pool_of(["gone", "o1"], ["jp/tokyo", "jp/osaka"],
                                                   NODES))
        self.assertIsNone(stats.pool_of(["x"], ["jp/tokyo"], NODES))
