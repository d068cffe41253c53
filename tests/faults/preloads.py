# SPDX-License-Identifier: BSD-2-Clause
"""Daemons of a cluster started with a library before all others: another clock, a bad disk."""
from __future__ import annotations

import os
from pathlib import Path

from cluster import DEVCLUSTER, Cluster, binary, run


def start_with(cluster: Cluster, daemon: str, library: str, folder: Path,
               variables: dict[str, str]) -> None:
    """Ends the daemon and starts it again with the library; `folder` takes what that needs."""
    folder.mkdir(exist_ok=True)
    for program in ("ukaid", "ukainode"):  # devcluster itself stays as it is
        wrapper = folder / program
        wrapper.write_text(f"#!/bin/sh\nexport LD_PRELOAD={library}\n"
                           f"exec {binary(program)} \"$@\"\n")
        wrapper.chmod(0o755)
    cluster.kill(daemon)
    run([str(DEVCLUSTER), "start", "--dir", str(cluster.folder), daemon],
        env={**os.environ, "UKAI_BIN": str(folder), **variables})


class BadDisk:
    """A node whose disk does as it is told; good until then."""

    def __init__(self, cluster: Cluster, node: str, folder: Path) -> None:
        library = folder / "disk_trouble.so"
        source = Path(__file__).with_name("disk_trouble.c")
        run(["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(library),
             str(source), "-ldl", "-pthread"])
        self._trouble = folder / "trouble"
        self.good()
        start_with(cluster, node, str(library), folder / "bin",
                   {"UKAI_TROUBLE": str(self._trouble),
                    "UKAI_TROUBLE_STORE": str(cluster.home(node) / "data")})

    def bad(self, words: str) -> None:
        """See disk_trouble.c."""
        # In one step: the library must never read half of it.
        after = self._trouble.with_suffix(".new")
        after.write_text(words)
        after.rename(self._trouble)

    def good(self) -> None:
        self.bad("")
