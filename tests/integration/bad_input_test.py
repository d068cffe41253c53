# SPDX-License-Identifier: BSD-2-Clause
"""Bad input to ukaictl: one clear line, the right exit status, nothing changed."""
from __future__ import annotations

import os
from typing import Any, Iterator

import pytest

from cluster import Cluster, binary, run, wait_until
from files import MIB, pattern, read_at, write_at

USAGE, NOT_FOUND, EXISTS, BUSY, UNREACHABLE, REFUSED = 2, 3, 4, 5, 7, 8


def one_line(done: Any, *words: str) -> None:
    """What went wrong is said once, and names what was wrong."""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.fixture
def unchanged(shared: Cluster) -> Iterator[Cluster]:
    """The cluster, whose disks are the same afterwards."""
    before = shared.json("disk", "list")["disks"]
    yield shared
    assert shared.json("disk", "list")["disks"] == before


@pytest.mark.parametrize("bad", [
    "", "a" * 129, "a/b", "..", ".", "../x", "a\nb", "a\x01b", "a\x7fb", "disk@snap", "@",
    ".hidden", "two words", "ümlaut"])
def test_names(unchanged: Cluster, bad: str) -> None:
    create = ["disk", "create", "--size", "16MiB", "--location", "n1", "--", bad]
    one_line(unchanged.ukaictl(*create, status=USAGE), "name")


@pytest.mark.parametrize("size,word", [
    ("0", "0"), ("-4MiB", "-4MiB"), ("5MiB", "8388608"), ("4194305", "8388608"),
    ("65TiB", "64 TiB"), ("much", "much"), ("4XB", "4XB"),
    ("99999999999999999999", "9999")])
def test_sizes(unchanged: Cluster, size: str, word: str) -> None:
    """A size that is no multiple of the block size is refused; the message has the next one."""
    create = ["disk", "create", "bad", f"--size={size}", "--location", "n1"]
    one_line(unchanged.ukaictl(*create, status=USAGE), word)


@pytest.mark.parametrize("size", ["32KiB", "128MiB", "96KiB", "4000000", "0", "-1", "x"])
def test_block_sizes(unchanged: Cluster, size: str) -> None:
    create = ["disk", "create", "bad", "--size", "1GiB", f"--block-size={size}", "--location", "n1"]
    one_line(unchanged.ukaictl(*create, status=USAGE), size)


@pytest.mark.parametrize("options,status,word", [
    (["--location", "n9"], NOT_FOUND, "n9"),
    (["--location", "n1,n1"], USAGE, "n1"),
    (["--location", "n1,"], USAGE, "location"),
    (["--location", "n1,n2", "--replicas", "3"], USAGE, "3"),
    (["--location", "n1", "--replicas", "0"], USAGE, "0"),
    (["--location", "n1", "--replicas", "x"], USAGE, "x"),
    (["--location", "n1", "--meta", "novalue"], USAGE, "novalue"),
    ([], USAGE, "location"),
])
def test_locations(unchanged: Cluster, options: list[str], status: int, word: str) -> None:
    create = ["disk", "create", "bad", "--size", "16MiB", *options]
    one_line(unchanged.ukaictl(*create, status=status), word)


@pytest.mark.parametrize("command", [
    ["disk", "delete", "absent"], ["disk", "info", "absent"], ["disk", "map", "absent"],
    ["disk", "verify", "absent"], ["disk", "stats", "absent"], ["disk", "resize", "absent", "1G"],
    ["disk", "rename", "absent", "new"], ["disk", "hosts", "absent", "--allow", "h1"],
    ["disk", "set", "absent", "--meta", "a=b"], ["sync", "absent"], ["rm", "absent"],
    ["stat", "absent"]])
def test_unknown_disks(unchanged: Cluster, command: list[str]) -> None:
    one_line(unchanged.ukaictl(*command, status=NOT_FOUND), "absent")


def test_unknown_nodes_and_commands(unchanged: Cluster) -> None:
    one_line(unchanged.ukaictl("node", "info", "n9", status=NOT_FOUND), "n9")
    assert unchanged.ukaictl("frobnicate", status=USAGE).stderr
    assert unchanged.ukaictl(status=USAGE).stderr
    assert unchanged.ukaictl("disk", "create", status=USAGE).stderr


def test_an_existing_name(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "16MiB", "n1")
    write_at(disk, 0, pattern(MIB))
    before = shared.info(name)["id"]
    create = ["disk", "create", name, "--size", "32MiB", "--location", "n2"]
    one_line(shared.ukaictl(*create, status=EXISTS), name)
    assert shared.info(name)["id"] == before
    assert read_at(disk, 0, MIB) == pattern(MIB)
    shared.create(name + "b", "16MiB", "n1")
    one_line(shared.ukaictl("disk", "rename", name, name + "b", status=EXISTS), name + "b")
    shared.delete(name)
    shared.delete(name + "b")


def test_deleting_a_disk_that_is_open(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "16MiB", "n1,n2")
    write_at(disk, 0, pattern(MIB))
    for flags in (os.O_RDWR, os.O_RDONLY):
        fd = os.open(disk, flags)
        one_line(shared.ukaictl("disk", "delete", name, status=BUSY), name)
        assert os.pread(fd, MIB, 0) == pattern(MIB)
        os.close(fd)
    shared.delete(name)
    one_line(shared.ukaictl("disk", "delete", name, status=NOT_FOUND), name)
    shared.ctl("disk", "delete", name, "--if-exists")


def test_shrinking(shared: Cluster, name: str) -> None:
    shared.create(name, "16MiB", "n1")
    done = shared.ukaictl("disk", "resize", name, "8MiB", status=None)
    assert done.returncode in (USAGE, REFUSED)
    one_line(done)
    one_line(shared.ukaictl("disk", "resize", name, "17MiB", status=USAGE), "20971520")
    assert shared.info(name)["size_bytes"] == 16 * MIB
    shared.delete(name)


def test_a_node_that_is_down(own: Cluster, name: str) -> None:
    own.kill("n3")
    create = ["disk", "create", name, "--size", "16MiB", "--location", "n1,n3"]

    def refused() -> bool:  # once its session has ended
        done = own.ukaictl(*create, status=None)
        if done.returncode == 0:
            own.delete(name)
            return False
        assert done.returncode == REFUSED, done.stderr
        one_line(done, "n3", "--force")
        return True

    wait_until(refused, "n3 is known to be down", 20)
    own.ukaictl("disk", "info", name, status=NOT_FOUND)
    own.ctl(*create, "--force")
    write_at(own.mount() / name, 0, pattern(MIB))
    own.start("n3")
    own.wait_healthy(name)
    own.verify(name)
    own.delete(name)


@pytest.mark.parametrize("metadata", [
    "127.0.0.1:1", "no-such-host.invalid:2181", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:2181/a//b",
    "", "127.0.0.1:99999"])
def test_zookeeper_that_cannot_be_reached(metadata: str) -> None:
    done = run([binary("ukaictl"), "--metadata", metadata, "disk", "list"], None, seconds=60)
    assert done.returncode in (USAGE, UNREACHABLE), done
    one_line(done)


def test_a_chroot_that_does_not_exist(shared: Cluster) -> None:
    done = run([binary("ukaictl"), "--metadata", shared.metadata + "/nowhere", "disk", "list"],
               None, seconds=60)
    assert done.returncode != 0 or done.stdout
    assert "nowhere" not in shared.zookeeper_shell("ls /")


def test_a_corrupt_record_blocks_its_disk_alone(shared: Cluster, name: str) -> None:
    good, bad = name + "-good", name + "-bad"
    shared.create(good, "16MiB", "n1")
    shared.create(bad, "16MiB", "n1")
    record = f"/ukai/disks/{shared.info(bad)['id']}"
    shared.zookeeper_shell(f"set {record} rubbish")
    for command in (["disk", "info", bad], ["disk", "map", bad], ["disk", "resize", bad, "32MiB"]):
        done = shared.ukaictl(*command, status=None)
        assert done.returncode not in (0, USAGE), done
        one_line(done, bad)
    with pytest.raises(OSError):
        read_at(shared.mount() / bad, 0, 4096)
    write_at(shared.mount() / good, 0, pattern(MIB))
    assert read_at(shared.mount() / good, 0, MIB) == pattern(MIB)
    listed = {disk["name"]: disk["health"] for disk in shared.json("disk", "list")["disks"]}
    assert listed[good] == "healthy" and listed[bad] == "corrupt"
    shared.delete(good)
    shared.zookeeper_shell(f"deleteall {record}", f"delete /ukai/names/{bad}")
