# SPDX-License-Identifier: BSD-2-Clause
"""File systems on a disk through a loop device: real files, unmounted, mounted again, equal."""
from __future__ import annotations

from pathlib import Path

import pytest

from cluster import Cluster, run
from files import loop_device, mounted, tree_sums

MAKE = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"]}
CHECK = {"ext4": ["fsck.ext4", "-f", "-n"], "xfs": ["xfs_repair", "-n"]}
TREES = [Path("/usr/share/doc"), Path("/usr/include")]


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_real_files_come_back_from(kind: str, shared: Cluster, name: str, tmp_path: Path) -> None:
    disk = shared.create(name, "2GiB", "n1,n2")
    trees = [tree for tree in TREES if tree.is_dir()]
    with loop_device(disk) as device:
        run([*MAKE[kind], device])
        with mounted(device, tmp_path / "mnt") as folder:
            run(["cp", "-a", *map(str, trees), str(folder)], seconds=600)
        run([*CHECK[kind], device])
    shared.verify(name)
    with loop_device(disk) as device:
        with mounted(device, tmp_path / "mnt") as folder:
            for tree in trees:
                assert tree_sums(folder / tree.name) == tree_sums(tree)
            run(["rm", "-r", str(folder / trees[0].name)])
            run(["fstrim", str(folder)])
        run([*CHECK[kind], device])
    shared.verify(name)
    shared.delete(name)
