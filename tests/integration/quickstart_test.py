# SPDX-License-Identifier: BSD-2-Clause
"""The README's first command, as a newcomer types it."""
from __future__ import annotations

from pathlib import Path

from cluster import DEVCLUSTER, ROOT, run


def test_quickstart_ends_with_a_running_cluster(tmp_path: Path) -> None:
    folder = tmp_path / "quickstart"
    try:
        said = run([str(ROOT / "tools" / "quickstart"), str(folder)], seconds=400).stdout
        assert "all in-sync replicas are identical" in said
        assert "files are the same" in said
        assert "The cluster runs on." in said
        run([str(DEVCLUSTER), "status", "--dir", str(folder)])
    finally:
        run([str(DEVCLUSTER), "down", "--dir", str(folder), "--wipe"])
