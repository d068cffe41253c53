#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Boots a guest with a file as its disk, and tells what it said.

By hand:  tests/guest/guest.py FILE [--aio native|io_uring|threads]     (FILE is overwritten)
"""
from __future__ import annotations

import argparse
import dataclasses
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import image  # noqa: E402

AIO = ("native", "io_uring", "threads")
MEMORY_MIB = 768


@dataclasses.dataclass
class Outcome:
    passed: bool
    lines: list[str]  # what the guest said, in order
    console: str  # everything on the serial console

    def why(self) -> str:
        return "\n".join(self.lines) or self.console[-2000:]


def accelerator() -> str:
    """KVM only where the processor's own is loaded: software KVMs do not boot this kernel."""
    hardware = any(Path(f"/sys/module/{name}").exists() for name in ("kvm_intel", "kvm_amd"))
    return "kvm" if hardware and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


def command(kernel: Path, initramfs: Path, disk: Path, aio: str, append: str = "") -> list[str]:
    """QEMU's; `append` goes to the guest's init."""
    drive = (f"file={str(disk).replace(',', ',,')},if=none,id=disk,format=raw,cache=none,"
             f"aio={aio},discard=unmap,detect-zeroes=unmap,werror=report,rerror=report")
    return [
        "qemu-system-x86_64", "-accel", accelerator(), "-m", str(MEMORY_MIB), "-nographic",
        "-nodefaults", "-no-user-config", "-serial", "stdio", "-kernel", str(kernel),
        "-initrd", str(initramfs),
        "-append", f"console=ttyS0 quiet panic=-1 mitigations=off {append}",
        "-drive", drive, "-device", "virtio-blk-pci,drive=disk",
    ]


def boot(images: tuple[Path, Path], disk: Path, aio: str, seconds: float = 600) -> Outcome:
    """Runs the guest until it powers itself off; ends it when that takes too long."""
    line = command(*images, disk, aio)
    child = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
    try:
        output, _ = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        output, _ = child.communicate()
        output += b"\nGUEST FAILED: did not end in time\n"
    console = output.decode(errors="replace").replace("\r", "")
    # The firmware leaves its own bytes at the start of a line.
    lines = re.findall(r"GUEST.*", console)
    return Outcome("GUEST PASSED" in lines and child.returncode == 0, lines, console)


def main() -> int:
    parser = argparse.ArgumentParser(description="Boot the test guest on a disk file.")
    parser.add_argument("disk", type=Path, help="overwritten; at least 512 MiB")
    parser.add_argument("--aio", choices=AIO, default="native")
    parser.add_argument("--fio-size", default="8m")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = boot(image.build(Path(folder), arguments.fio_size), arguments.disk,
                       arguments.aio)
    print("\n".join(outcome.lines if outcome.passed else [outcome.console]))
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main())
