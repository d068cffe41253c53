# SPDX-License-Identifier: BSD-2-Clause
"""Makes the guest: Debian's cloud kernel and an initramfs of files from Debian's packages."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Sequence

HERE = Path(__file__).resolve().parent
PROGRAMS = ["/usr/bin/fio", "/usr/sbin/mkfs.ext4", "/usr/sbin/fsck.ext4", "/usr/sbin/fstrim"]
MODULES = ["virtio_pci", "virtio_blk"]


def kernel() -> Path:
    """The newest cloud kernel that is installed."""
    found = sorted(Path("/boot").glob("vmlinuz-*-cloud-amd64"),
                   key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)])
    if not found:
        raise FileNotFoundError("no /boot/vmlinuz-*-cloud-amd64; run tools/setup")
    return found[-1]


def _libraries(program: str) -> list[str]:
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", listing)


def _module_files(version: str, modules: list[str]) -> list[str]:
    """What insmod must load, in order; built-in modules need nothing."""
    files: list[str] = []
    for module in modules:
        shown = subprocess.run(
            ["modprobe", "--set-version", version, "--show-depends", module],
            capture_output=True, text=True, check=True).stdout
        for line in shown.splitlines():
            words = line.split()
            if words[0] == "insmod" and words[1] not in files:
                files.append(words[1])
    return files


def _copy(source: str, root: Path) -> None:
    target = root / source.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    shutil.copymode(source, target)


def build(folder: Path, fio_size: str, modules: Sequence[str] = ()) -> tuple[Path, Path]:
    """Writes the initramfs into `folder`; returns (kernel, initramfs). `modules`: more of the
    kernel's than all guests need."""
    image = kernel()
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "sbin", "dev", "proc", "sys", "tmp", "mnt", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for program in PROGRAMS:
        _copy(program, root)
        for library in _libraries(program):
            _copy(library, root)
    files = _module_files(image.name.removeprefix("vmlinuz-"), [*MODULES, *modules])
    for file in files:
        _copy(file, root)
    (root / "modules.list").write_text("".join(f"{file}\n" for file in files))
    (root / "fio.size").write_text(f"{fio_size}\n")
    (root / "etc/mtab").symlink_to("/proc/mounts")
    shutil.copy(HERE / "init", root / "init")
    (root / "init").chmod(0o755)
    archive = folder / "initramfs.cpio"
    names = "\0".join(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
    with archive.open("wb") as out:
        # Not compressed: an emulated processor takes longer to unpack it than to read it.
        subprocess.run(["cpio", "--null", "--create", "--format=newc", "--quiet"],
                       cwd=root, input=names.encode(), stdout=out, check=True)
    shutil.rmtree(root)
    return image, archive
