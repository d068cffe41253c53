#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes tests/upgrade/VERSION: what a small cluster of this version leaves behind.

Run once for each release, with its binaries (build/release/bin, or $UKAI_BIN), and check the result
in. tests/integration/upgrade_test.py gives all of them to the binaries of today. Files:

    metadata.json    of `ukaictl metadata dump`
    nodes.tar.xz     the data folders of n1, n2 and n3
    expected.json    each file of the mount: its size and checksum; members that were missing
"""
from __future__ import annotations

import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from cluster import Cluster, binary, run, wait_until  # noqa: E402
from files import sha256, write_at  # noqa: E402

KIB = 1 << 10
SECTOR = 512
NODES = ("n1", "n2", "n3")


def text(tag: str, size: int) -> bytes:
    """Bytes that tell where they belong, and that compress well."""
    return b"".join(f"{tag} {number}\n".encode().ljust(SECTOR, b".")
                    for number in range(size // SECTOR))


def create(cluster: Cluster, name: str, size: str, nodes: str, *options: str) -> Path:
    return cluster.create(name, size, nodes, "--block-size", "64KiB", *options)


def fill(cluster: Cluster) -> None:
    """Disks with snapshots, holes, a clone and stripes."""
    plain = create(cluster, "plain", "1MiB", "n1,n2", "--meta", "os=debian")
    write_at(plain, 0, text("first", 512 * KIB))
    cluster.ctl("snapshot", "create", "plain@s1")
    write_at(plain, 256 * KIB, text("second", 64 * KIB))  # a whole block
    write_at(plain, 100 * KIB, text("third", 4 * KIB))  # part of one
    for offset, length in ((0, 64 * KIB), (200 * KIB, 4 * KIB)):
        run(["fallocate", "--punch-hole", "--offset", str(offset), "--length", str(length),
             str(plain)])
    cluster.ctl("snapshot", "create", "plain@s2")
    write_at(plain, 900 * KIB, text("fourth", 8 * KIB))

    cluster.ctl("clone", "plain@s1", "copy")
    write_at(cluster.mount() / "copy", 32 * KIB, text("fifth", 64 * KIB))

    striped = create(cluster, "striped", "1MiB", ",".join(NODES), "--stripe", "--replicas", "2")
    write_at(striped, 0, text("sixth", 1024 * KIB))


def sums(cluster: Cluster, *names: str) -> dict[str, dict[str, object]]:
    files = {name: cluster.mount() / name for name in names}
    return {name: {"size": file.stat().st_size, "sha256": sha256(file)}
            for name, file in files.items()}


def wait_released(cluster: Cluster, *names: str) -> None:
    for name in names:
        wait_until(lambda: not cluster.info(name)["lease"], f"the lease of {name} is back", 30)


def make(cluster: Cluster, target: Path) -> None:
    fill(cluster)
    behind = create(cluster, "behind", "512KiB", "n1,n2")
    write_at(behind, 0, text("seventh", 512 * KIB))
    files = sums(cluster, "plain", "plain@s1", "plain@s2", "copy", "striped")
    wait_released(cluster, "plain", "copy", "striped")
    # A node that has missed writes: the others' logs say which.
    cluster.kill("n2")
    write_at(behind, 64 * KIB, text("eighth", 128 * KIB))
    expected = {"files": {**files, **sums(cluster, "behind")}, "missing": {"behind": ["n2"]}}
    assert [member["node"] for member in cluster.info("behind")["members"]
            if member["state"] == "missing"] == ["n2"]
    cluster.ctl("metadata", "dump", str(target / "metadata.json"))
    cluster.devcluster("down")
    with tarfile.open(target / "nodes.tar.xz", "w:xz") as tar:
        for node in NODES:
            tar.add(cluster.home(node) / "data" / "store", node)
    (target / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


def main() -> None:
    version = run([binary("ukaid"), "--version"]).stdout.split()[-1]
    target = HERE / version
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    folder = Path(tempfile.mkdtemp(prefix="ukai-upgrade-"))
    cluster = Cluster(folder, "--nodes", str(len(NODES)), "--hosts", "1", "--plain")
    try:
        make(cluster, target)
    finally:
        cluster.end()
        shutil.rmtree(folder)
    print(f"{target}: {sum(file.stat().st_size for file in target.iterdir())} bytes")


if __name__ == "__main__":
    main()
