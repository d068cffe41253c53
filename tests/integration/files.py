# SPDX-License-Identifier: BSD-2-Clause
"""What tests do with disk files: patterns, checksums, file systems behind loop devices, fio."""
from __future__ import annotations

import ctypes
import hashlib
import json
import os
import random
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

from cluster import Cluster, run

MIB = 1 << 20
PUNCH_HOLE, ZERO_RANGE = 2, 16  # for fallocate()
_LIBC = ctypes.CDLL(None, use_errno=True)


def pattern(size: int, seed: int = 1) -> bytes:
    """Bytes that do not repeat and do not compress; the same for the same seed."""
    return random.Random(seed).randbytes(size)


def write_at(path: Path, offset: int, data: bytes) -> None:
    fd = os.open(path, os.O_RDWR)
    try:
        while data:
            done = os.pwrite(fd, data, offset)
            offset, data = offset + done, data[done:]
        os.fsync(fd)
    finally:
        os.close(fd)


def read_at(path: Path, offset: int, size: int) -> bytes:
    parts = []
    fd = os.open(path, os.O_RDONLY)
    try:
        while size:
            part = os.pread(fd, min(size, 4 * MIB), offset)
            if not part:
                break
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
    finally:
        os.close(fd)
    return b"".join(parts)


def error_of(work: Callable[[], object]) -> int:
    """0: it succeeds."""
    try:
        work()
        return 0
    except OSError as error:
        return error.errno or -1


def fallocate(fd: int, mode: int, offset: int, size: int) -> None:
    """The system call that Python lacks; the size of the file stays."""
    if _LIBC.fallocate(fd, mode | 1, ctypes.c_int64(offset), ctypes.c_int64(size)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(4 * MIB):
            digest.update(part)
    return digest.hexdigest()


def tree_sums(folder: Path) -> str:
    """One line a regular file: its checksum and name."""
    return run(["bash", "-c", "find . -type f -print0 | sort -z | xargs -0 -r sha256sum"],
               seconds=600, cwd=folder).stdout


def version_files(cluster: Cluster, node: str) -> dict[str, dict[int, dict[int, Path]]]:
    """Disk id -> block -> generation -> the file that the node has for it."""
    found: dict[str, dict[int, dict[int, Path]]] = {}
    for path in (cluster.home(node) / "data" / "store" / "disks").glob("*/*/*"):
        block, _, generation = path.name.partition(".")
        if generation.isdigit():
            versions = found.setdefault(path.parent.parent.name, {}).setdefault(int(block, 16), {})
            versions[int(generation)] = path
    return found


def content_sum(path: Path) -> str:
    """Checksum of a block file's data up to the last byte that is not zero; "" for zeros.

    Byte i of a block is byte i of its file. Behind the data is a trailer, which tells zeros that
    were written from zeros that were not; a block of zeros may have no file at all.
    """
    data = path.read_bytes()
    data = data[:data.rindex(b"UKAIBLK1")].rstrip(b"\0")
    return hashlib.sha256(data).hexdigest() if data else ""


def block_files(cluster: Cluster, node: str) -> dict[str, str]:
    """Block file, below the disks' folder -> its content_sum(), where that is not zeros."""
    sums = {"/".join(path.parts[-3:]): content_sum(path)
            for blocks in version_files(cluster, node).values()
            for versions in blocks.values() for path in versions.values()}
    return {name: found for name, found in sums.items() if found}


@contextmanager
def loop_device(path: Path) -> Iterator[str]:
    device = run(["losetup", "--find", "--show", "--direct-io=on", str(path)]).stdout.strip()
    try:
        yield device
    finally:
        run(["losetup", "--detach", device])


@contextmanager
def mounted(device: str, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    run(["mount", device, str(folder)])
    try:
        yield folder
    finally:
        run(["umount", str(folder)], seconds=300)


def fio_command(path: Path, *options: str) -> list[str]:
    """One verified job; `options` are fio's, without the dashes."""
    return ["fio", "--name=job", f"--filename={path}", "--thread", "--verify=crc32c",
            "--verify_fatal=1", "--ioengine=libaio", "--direct=1", "--allow_file_create=0",
            "--randseed=11", "--output-format=json", *[f"--{option}" for option in options]]


def fio(path: Path, *options: str, seconds: float = 300) -> Any:
    """Runs it to its end; any error or difference fails the test. Returns fio's job report."""
    done = run(fio_command(path, *options), seconds=seconds)
    report = json.loads(done.stdout[done.stdout.index("{"):])
    job = report["jobs"][0]
    assert job["error"] == 0, done.stderr
    return job


@contextmanager
def background(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """A program that runs beside the test; ended with it, by its process id."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()


def finish(child: "subprocess.Popen[str]", seconds: float = 180) -> str:
    """Waits for a background program; it must have succeeded."""
    output, _ = child.communicate(timeout=seconds)
    assert child.returncode == 0, output[-3000:]
    return output
