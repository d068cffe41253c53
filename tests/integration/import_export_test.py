# SPDX-License-Identifier: BSD-2-Clause
"""`disk import` and `disk export`: byte for byte, with holes, whole or not at all."""
from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from cluster import Cluster, binary, run, wait_until
from files import MIB, pattern, read_at, sha256, write_at

FAILED, USAGE, NOT_FOUND, EXISTS, BUSY, UNREACHABLE, REFUSED = 1, 2, 3, 4, 5, 7, 8
SIZE = 31 * MIB + 512  # of the image: no whole blocks
DISK_SIZE = 32 * MIB
DATA = ((0, 70_000), (9 * MIB + 512, 2 * MIB), (SIZE - 4096, 4096))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and holes, and zeros that are written."""
    path = tmp_path_factory.mktemp("images") / "source: 1.img"
    with path.open("wb") as file:
        file.truncate(SIZE)
        for offset, size in DATA:
            file.seek(offset)
            file.write(pattern(size, offset + 1))
        file.seek(16 * MIB)
        file.write(bytes(4 * MIB))
    return path


def one_line(done: "subprocess.CompletedProcess[str]", *words: str) -> None:
    assert done.stdout == "" and done.stderr.count("\n") == 1, done
    assert all(word in done.stderr for word in words), done.stderr


def allocated(path: Path) -> int:
    return path.stat().st_blocks * 512


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_there_and_back(kind: str, shared: Cluster, name: str, image: Path,
                        tmp_path: Path) -> None:
    file = image
    if kind == "qcow2":
        file = tmp_path / "source.qcow2"
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(image), str(file)])
    done = shared.json("disk", "import", str(file), name, "--location", "n1,n2")
    info = shared.info(name)
    assert (done["kind"], done["name"], done["id"]) == ("disk_import", name, info["id"])
    assert (done["format"], done["image_bytes"], done["size_bytes"]) == (kind, SIZE, DISK_SIZE)
    data = read_at(shared.mount("h2") / name, 0, DISK_SIZE)
    assert data[:SIZE] == image.read_bytes() and not any(data[SIZE:])
    # Neither holes nor zeros take space: 3 of 8 blocks have a file, of little more than the data.
    wait_until(lambda: bool(shared.info(name)["used_bytes"] < 2 * 4 * MIB),
               "holes take no space", 20)
    shared.verify(name)

    for suffix in (".qcow2", ".raw", ".x"):
        out = tmp_path / f"out{suffix}"
        options = ["--format", "qcow2"] if suffix == ".x" else []
        done = shared.json("disk", "export", name, str(out), *options)
        wanted = "raw" if suffix == ".raw" else "qcow2"
        assert done["kind"] == "disk_export"
        assert (done["format"], done["size_bytes"]) == (wanted, DISK_SIZE)
        assert allocated(out) < 4 * MIB, suffix
        shown = json.loads(run(["qemu-img", "info", "--output=json", str(out)]).stdout)
        assert (shown["format"], shown["virtual-size"]) == (wanted, DISK_SIZE)
        run(["qemu-img", "compare", "-f", wanted, "-F", "raw", str(out), str(image)])
    assert sorted(path.name for path in tmp_path.glob(".*")) == []
    shared.delete(name)


def test_more_than_the_image_and_a_host_by_name(shared: Cluster, name: str, image: Path) -> None:
    shared.ctl("disk", "import", str(image), name, "--location", "n1,n2,n3", "--stripe", "--size",
               "64MiB", "--format", "raw", "--host", "h2", "--meta", "os=none")
    info = shared.info(name)
    assert (info["size_bytes"], info["meta"]) == (64 * MIB, {"os": "none"})
    assert read_at(shared.mount() / name, 0, SIZE) == image.read_bytes()
    assert not any(read_at(shared.mount() / name, SIZE, 64 * MIB - SIZE))
    shared.delete(name)


def test_bad_input_leaves_no_disk(shared: Cluster, name: str, image: Path,
                                  tmp_path: Path) -> None:
    where = ["--location", "n1,n2"]

    def refused(status: int, words: str, file: Path, *options: str) -> None:
        one_line(shared.ukaictl("disk", "import", str(file), name, *(where + list(options)),
                                status=status), words)

    refused(NOT_FOUND, "No such file", tmp_path / "no file")
    refused(USAGE, "is no file with an image", tmp_path)
    refused(USAGE, "is less than the image's", image, "--size", "16MiB")
    refused(USAGE, "'vmdk' is no format", image, "--format", "vmdk")
    refused(FAILED, "qcow2", image, "--format", "qcow2")
    refused(NOT_FOUND, "no running host named 'h9'", image, "--host", "h9")
    refused(UNREACHABLE, "is not the mount of a running ukaid", image, "--mount", str(tmp_path))
    empty = tmp_path / "empty"
    empty.touch()
    refused(USAGE, "is empty", empty)
    vmdk = tmp_path / "other"
    run(["qemu-img", "create", "-q", "-f", "vmdk", str(vmdk), "8M"])
    refused(USAGE, "is an image of format vmdk", vmdk)
    # A guest could have written this image, to read a file of the host's.
    trap = tmp_path / "trap"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw",
         str(trap), "8M"])
    refused(REFUSED, "/etc/passwd", trap)
    one_line(shared.ukaictl("disk", "info", name, status=NOT_FOUND))

    environment = shared.environment() | {"PATH": str(tmp_path)}
    done = run([binary("ukaictl"), "disk", "import", str(image), name, *where], FAILED,
               env=environment)
    one_line(done, "qemu-img is not installed")

    shared.create(name, "4MiB", "n1")
    refused(EXISTS, "exists already", image)
    assert shared.info(name)["size_bytes"] == 4 * MIB
    shared.delete(name)


@pytest.mark.parametrize("how", ["fails", "is interrupted"])
def test_an_import_that(how: str, shared: Cluster, name: str, tmp_path: Path) -> None:
    """The tool is one that writes a part and then does what the test wants."""
    tools = tmp_path / "bin"
    tools.mkdir()
    end = "echo 'no more ink' >&2; exit 1" if how == "fails" else "exec sleep 600"
    tool = tools / "qemu-img"
    tool.write_text("#!/bin/bash\n"
                    f"if [ $1 = info ]; then exec /usr/bin/qemu-img \"$@\"; fi\n"
                    f"dd if=/dev/urandom of=\"${{@: -1}}\" bs=1M count=5 conv=notrunc\n"
                    f"touch '{tmp_path}/begun'\n{end}\n")
    tool.chmod(0o755)
    image = tmp_path / "image"
    image.write_bytes(pattern(8 * MIB))
    path = f"{tools}:{os.environ['PATH']}"
    command = [binary("ukaictl"), "disk", "import", str(image), name, "--location", "n1,n2"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                             env=shared.environment() | {"PATH": path})
    if how == "is interrupted":
        wait_until((tmp_path / "begun").exists, "the copy is under way", 60)
        child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    if how == "fails":
        assert (child.returncode, said) == (FAILED, "ukaictl: no more ink\n")
    else:
        assert child.returncode == -signal.SIGINT, said
    one_line(shared.ukaictl("disk", "info", name, status=NOT_FOUND))


def test_exports_never_replace_a_file_by_themselves(shared: Cluster, name: str,
                                                    tmp_path: Path) -> None:
    disk = shared.create(name, "4MiB", "n1,n2")
    write_at(disk, 0, pattern(MIB))
    out = tmp_path / "out"
    out.write_text("mine")
    one_line(shared.ukaictl("disk", "export", name, str(out), status=EXISTS), str(out))
    one_line(shared.ukaictl("disk", "export", name, str(tmp_path), status=USAGE), str(tmp_path))
    one_line(shared.ukaictl("disk", "export", name, f"{tmp_path}/no/out", status=NOT_FOUND))
    one_line(shared.ukaictl("disk", "export", "nobody", f"{tmp_path}/new", status=NOT_FOUND))
    one_line(shared.ukaictl("disk", "export", f"{name}@s1", f"{tmp_path}/new", status=NOT_FOUND))
    assert out.read_text() == "mine"
    shared.ctl("disk", "export", name, str(out), "--force")
    assert out.read_bytes() == pattern(MIB) + bytes(3 * MIB)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    shared.delete(name)


def test_a_disk_in_use_is_exported_by_its_snapshots(shared: Cluster, name: str,
                                                    tmp_path: Path) -> None:
    disk = shared.create(name, "8MiB", "n1,n2")
    write_at(disk, 0, pattern(MIB, 1))
    guest = os.open(disk, os.O_RDWR)
    os.pwrite(guest, pattern(MIB, 2), 4 * MIB)
    shared.ctl("snapshot", "create", f"{name}@s1")
    os.pwrite(guest, pattern(MIB, 3), 0)
    out = tmp_path / "out"
    one_line(shared.ukaictl("disk", "export", name, str(out), status=BUSY), name, "snapshot")
    assert not out.exists()
    for host in ("h1", "h2"):
        done = shared.json("disk", "export", f"{name}@s1", str(out), "--force", "--host", host)
        assert (done["snapshot"], done["host"]) == ("s1", host)
        assert out.read_bytes() == (pattern(MIB, 1) + bytes(3 * MIB) + pattern(MIB, 2) +
                                    bytes(3 * MIB))
    shared.ctl("disk", "export", name, str(out), "--force")
    assert read_at(out, 0, MIB) == pattern(MIB, 3)
    os.close(guest)
    wait_until(lambda: shared.ukaictl("disk", "export", name, str(out), "--force",
                                      status=None).returncode == 0, "it is closed", 30)
    shared.ctl("snapshot", "delete", f"{name}@s1")
    shared.delete(name)


def test_an_export_notices_who_opens_the_disk_meanwhile(shared: Cluster, name: str,
                                                        tmp_path: Path) -> None:
    disk = shared.create(name, "8MiB", "n1,n2")
    write_at(disk, 0, pattern(MIB))
    tools = tmp_path / "bin"
    tools.mkdir()
    tool = tools / "qemu-img"
    tool.write_text(f"#!/bin/bash\ndd if=/dev/zero of='{disk}' bs=4k count=1 conv=notrunc\n"
                    "exec /usr/bin/qemu-img \"$@\"\n")
    tool.chmod(0o755)
    environment = shared.environment() | {"PATH": f"{tools}:{os.environ['PATH']}"}
    out = tmp_path / "out"
    done = run([binary("ukaictl"), "disk", "export", name, str(out)], BUSY, env=environment)
    one_line(done, "opened for writing meanwhile")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]
    shared.ctl("disk", "export", name, str(out))
    assert sha256(out) == sha256(disk)
    shared.delete(name)


def test_a_long_import_shows_how_far_it_is(shared: Cluster, name: str, tmp_path: Path) -> None:
    """On a terminal only; the tool takes its time."""
    tools = tmp_path / "bin"
    tools.mkdir()
    tool = tools / "qemu-img"
    tool.write_text("#!/bin/bash\nif [ $1 = convert ]; then\n"
                    "for i in 10 20 30 40 50; do printf '    (%s.00/100%%)\\r' $i; sleep 1; done\n"
                    "fi\nexec /usr/bin/qemu-img \"$@\"\n")
    tool.chmod(0o755)
    image = tmp_path / "image"
    image.write_bytes(pattern(8 * MIB))
    command = f"{binary('ukaictl')} disk import {image} {name} --location n1"
    shown = run(["script", "-qec", command, "/dev/null"],
                env=shared.environment() | {"PATH": f"{tools}:{os.environ['PATH']}"}).stdout
    assert "[####" in shown and "50%" in shown, shown
    shared.delete(name)
