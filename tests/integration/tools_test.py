# SPDX-License-Identifier: BSD-2-Clause
"""The programs that people copy disks with: byte for byte, to the file and from it."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator

import pytest

from cluster import Cluster, run
from files import MIB, pattern, sha256

SIZE = 64 * MIB


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw image with data, holes and zeros, none of them at round places."""
    path = tmp_path_factory.mktemp("tools") / "source.img"
    with path.open("wb") as file:
        file.truncate(SIZE)
        for offset, size in ((0, 70_000), (5 * MIB + 512, 6 * MIB), (31 * MIB - 512, 1024),
                             (SIZE - 4096, 4096)):
            file.seek(offset)
            file.write(pattern(size, offset + 1))
    return path


@pytest.fixture
def disk(shared: Cluster, name: str) -> Iterator[Path]:
    yield shared.create(name, str(SIZE), "n1,n2")
    shared.verify(name)
    shared.delete(name)


WRITERS = {
    "cp": "cp {source} {disk}",
    "cp sparse": "cp --sparse=always {source} {disk}",
    "dd direct": "dd if={source} of={disk} bs=1M oflag=direct conv=notrunc",
    "dd direct 4k": "dd if={source} of={disk} bs=4k oflag=direct",
    "dd buffered": "dd if={source} of={disk} bs=1M conv=fsync",
    "dd odd size": "dd if={source} of={disk} bs=1000003",
    "qemu-img": "qemu-img convert -f raw -O raw {source} {disk}",
    "qemu-img -n": "qemu-img convert -n -f raw -O raw -t none {source} {disk}",
    "qemu-img -W": "qemu-img convert -n -W -m 8 -f raw -O raw -t none {source} {disk}",
}
READERS = {
    "cp": "cp {disk} {copy}",
    "cp sparse": "cp --sparse=always {disk} {copy}",
    "dd direct": "dd if={disk} of={copy} bs=1M iflag=direct",
    "dd buffered": "dd if={disk} of={copy} bs=64k",
    "dd odd size": "dd if={disk} of={copy} bs=1000003",
    "qemu-img": "qemu-img convert -f raw -O raw {disk} {copy}",
    "qemu-img qcow2": "qemu-img convert -f raw -O qcow2 {disk} {copy}.q && "
                      "qemu-img convert -f qcow2 -O raw {copy}.q {copy}",
}


@pytest.mark.parametrize("writer", WRITERS)
def test_written_by(writer: str, source: Path, disk: Path) -> None:
    run(["bash", "-c", WRITERS[writer].format(source=source, disk=disk)])
    assert sha256(disk) == sha256(source)


def test_writers_replace_what_was_there(source: Path, disk: Path) -> None:
    """A sparse copy writes no zeros, so they must come from the truncation."""
    disk.write_bytes(pattern(SIZE, 99))
    run(["cp", "--sparse=always", str(source), str(disk)])
    assert sha256(disk) == sha256(source)


def test_read_by(source: Path, disk: Path, tmp_path: Path) -> None:
    run(["dd", f"if={source}", f"of={disk}", "bs=1M"])
    for reader, command in READERS.items():
        copy = tmp_path / "copy"
        run(["bash", "-c", command.format(disk=disk, copy=copy)])
        assert sha256(copy) == sha256(source), reader
        copy.unlink()


def test_qemu_img_sees_the_holes(source: Path, disk: Path) -> None:
    run(["cp", "--sparse=always", str(source), str(disk)])
    extents = json.loads(run(["qemu-img", "map", "--output=json", "-f", "raw", str(disk)]).stdout)
    assert sum(extent["length"] for extent in extents) == SIZE
    data = sum(extent["length"] for extent in extents if extent["data"])
    assert 6 * MIB < data < SIZE // 2
    run(["qemu-img", "compare", "-f", "raw", "-F", "raw", str(source), str(disk)])


def test_qemu_img_leaves_the_size_alone(shared: Cluster, disk: Path) -> None:
    shown = json.loads(run(["qemu-img", "info", "--output=json", "-f", "raw", str(disk)]).stdout)
    assert shown["virtual-size"] == SIZE
    assert run(["qemu-img", "resize", "-f", "raw", str(disk), "128M"], None).returncode != 0
    assert disk.stat().st_size == SIZE
