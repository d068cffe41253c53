# SPDX-License-Identifier: BSD-2-Clause
"""What UKAI is measured against: a plain file, and libfuse's own example file system over it."""
from __future__ import annotations

import gzip
import shlex
import struct
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

EXAMPLE = Path("/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c")

# What the example becomes. It hands the guest's O_DIRECT on to the backing file; without that the
# host's page cache answers, as it does on UKAI's nodes.
VARIANTS: dict[str, list[tuple[str, str]]] = {
    "pt": [],
    "pt-cache": [("fi->flags & ~O_NOFOLLOW", "fi->flags & ~(O_NOFOLLOW | O_DIRECT)")],
    "pt-cache-nosplice": [
        ("fi->flags & ~O_NOFOLLOW", "fi->flags & ~(O_NOFOLLOW | O_DIRECT)"),
        ("struct lo_data *lo = (struct lo_data*) userdata;",
         "struct lo_data *lo = (struct lo_data*) userdata;\n"
         "conn->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);")],
}


PIPE_MAX = Path("/proc/sys/fs/pipe-max-size")


@contextmanager
def large_pipes() -> Iterator[None]:
    """libfuse splices only what fits a pipe: 1 MiB and a header, more than a process without
    CAP_SYS_RESOURCE may have. Without it the example's buffers are not aligned, and a backing file
    that is opened O_DIRECT refuses them."""
    before = PIPE_MAX.read_text(encoding="ascii")
    PIPE_MAX.write_text(str(4 << 20), encoding="ascii")
    try:
        yield
    finally:
        PIPE_MAX.write_text(before, encoding="ascii")


@contextmanager
def awake() -> Iterator[None]:
    """An idle core that halts takes tens of microseconds to wake: all systems alike do without."""
    latency = Path("/dev/cpu_dma_latency")
    if not latency.exists():
        yield
        return
    with latency.open("wb", buffering=0) as held:
        held.write(struct.pack("i", 0))
        yield


def _source() -> str:
    packed = EXAMPLE.with_name(EXAMPLE.name + ".gz")
    if packed.exists():
        return gzip.decompress(packed.read_bytes()).decode()
    return EXAMPLE.read_text(encoding="utf-8")


def _build(variant: str, folder: Path) -> Path:
    source = _source()
    for before, after in VARIANTS[variant]:
        if source.count(before) != 1 and "userdata" not in before:
            raise SystemExit(f"{EXAMPLE} is not what it was: '{before}' is there "
                             f"{source.count(before)} times")
        source = source.replace(before, after, 1)
    file = folder / f"{variant}.c"
    file.write_text(source, encoding="utf-8")
    for helper in EXAMPLE.parent.glob("passthrough_helpers.h*"):
        text = gzip.decompress(helper.read_bytes()) if helper.suffix == ".gz" else \
            helper.read_bytes()
        (folder / "passthrough_helpers.h").write_bytes(text)
    flags = shlex.split(subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], check=True,
                                       capture_output=True, text=True).stdout)
    program = folder / variant
    subprocess.run(["cc", "-O2", "-o", str(program), str(file), *flags],
                   check=True)
    return program


class Passthrough:
    """The example, mounted; `file` is a file in it."""

    def __init__(self, variant: str, folder: Path, backing: Path) -> None:
        self.name = variant
        self._mount = folder / f"{variant}.mnt"
        self._mount.mkdir()
        program = _build(variant, folder)
        self._child = subprocess.Popen(
            [str(program), "-f", "-o", f"source={backing.parent}", "-o", "cache=never",
             str(self._mount)])
        self.file = self._mount / backing.name
        deadline = time.monotonic() + 10
        while not self.file.exists():
            if time.monotonic() > deadline:
                raise SystemExit(f"{variant} does not come up")
            time.sleep(0.05)

    def pids(self) -> list[int]:
        return [self._child.pid]

    def end(self) -> None:
        subprocess.run(["umount", str(self._mount)], check=False)
        self._child.terminate()
        self._child.wait()
