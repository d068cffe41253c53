# SPDX-License-Identifier: BSD-2-Clause
"""Daemons that cannot start say why in one line, and leave nothing behind."""
from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from cluster import Cluster, binary, run
from files import loop_device, mounted


def refused(program: str, config: Path, *words: str) -> Any:
    """It ends by itself, not with success, with one line that holds the words."""
    done = run([binary(program), "--config", str(config)], None, seconds=60)
    assert done.returncode not in (0, -6, -11), done
    said = [line for line in done.stderr.splitlines() if line.strip()]
    assert said, done
    for word in words:
        assert word in said[-1], done.stderr
    return done


def variant(cluster: Cluster, daemon: str, folder: Path, **changes: str) -> Path:
    """A copy of a daemon's configuration with other ids, ports and folders, and `changes`."""
    kind = "ukaid" if daemon.startswith("h") else "ukainode"
    text = (cluster.home(daemon) / f"{kind}.toml").read_text()
    values = {"id": '"other"', "listen": '"127.0.0.1:0"', "control_listen": '"127.0.0.1:0"',
              "data_root": f'"{folder}/store"', "mount_point": f'"{folder}/mnt"',
              "state_dir": f'"{folder}/state"', "boot_id_file": f'"{folder}/boot_id"', **changes}
    for key, value in values.items():
        text = re.sub(rf"^{key} = .*$", lambda _: f"{key} = {value}", text, flags=re.MULTILINE)
    (folder / "boot_id").write_text("boot\n")
    for name in ("store", "mnt", "state"):
        (folder / name).mkdir(exist_ok=True)
    path = folder / f"{kind}.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("daemon,program", [("n1", "ukainode"), ("h1", "ukaid")])
def test_config_files(shared: Cluster, tmp_path: Path, daemon: str, program: str) -> None:
    config = variant(shared, daemon, tmp_path)
    good = config.read_text()
    config.write_text(good + "colour = 1\n")
    line = str(len(good.splitlines()) + 1)
    refused(program, config, str(config), line, "colour")
    config.write_text(good.replace("[metadata]", "[metadat]"))
    refused(program, config, str(config))
    config.write_text(re.sub("session_timeout_ms = .*", 'session_timeout_ms = "soon"', good))
    refused(program, config, str(config), "session_timeout_ms")
    config.write_text(re.sub("(?m)^id = .*$", "", good))
    refused(program, config, str(config), "id")
    config.write_text(good + "broken = = 1\n")
    refused(program, config, str(config), line)
    refused(program, tmp_path / "absent.toml", "absent.toml")
    assert run([binary(program)], None).returncode != 0
    assert run([binary(program), "--nonsense"], None).returncode != 0


def test_mount_points(shared: Cluster, tmp_path: Path) -> None:
    absent = variant(shared, "h1", tmp_path, mount_point=f'"{tmp_path}/absent"')
    refused("ukaid", absent, "absent")
    assert not (tmp_path / "absent").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    refused("ukaid", variant(shared, "h1", tmp_path, mount_point=f'"{tmp_path}/full"'), "full")
    assert (tmp_path / "full" / "file").read_text() == "mine"
    in_use = variant(shared, "h1", tmp_path, mount_point=f'"{shared.mount()}"')
    refused("ukaid", in_use, str(shared.mount()))
    assert shared.mount().is_mount()
    a_file = variant(shared, "h1", tmp_path, mount_point=f'"{tmp_path}/full/file"')
    refused("ukaid", a_file, "file")


def test_ports_in_use(shared: Cluster, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for key in ("listen", "control_listen"):
            for daemon, program in (("n1", "ukainode"), ("h1", "ukaid")):
                changes = {key: f'"127.0.0.1:{port}"'}
                refused(program, variant(shared, daemon, tmp_path, **changes), str(port))


def test_data_folders(shared: Cluster, tmp_path: Path) -> None:
    shutil.rmtree(variant(shared, "n1", tmp_path).parent / "store")
    (tmp_path / "store").write_text("a file")
    refused("ukainode", tmp_path / "ukainode.toml", "store")
    (tmp_path / "store").unlink()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "photo.jpg").write_text("somebody's")
    refused("ukainode", tmp_path / "ukainode.toml", "store")
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["photo.jpg"]


def test_a_data_folder_that_another_node_has(shared: Cluster, tmp_path: Path) -> None:
    root = shared.home("n1") / "data" / "store"
    refused("ukainode", variant(shared, "n1", tmp_path, data_root=f'"{root}"'), str(root))
    same = variant(shared, "n1", tmp_path, id='"n1"', data_root=f'"{root}"')
    refused("ukainode", same)
    assert shared.daemons()["n1"]["state"] == "running"


def test_a_data_folder_of_another_cluster(shared: Cluster, own: Cluster, tmp_path: Path) -> None:
    own.kill("n3")
    config = variant(shared, "n1", tmp_path, id='"n3"',
                     data_root=f'"{own.home("n3") / "data" / "store"}"')
    refused("ukainode", config, "cluster")
    own.start("n3")


def test_data_folders_that_cannot_be_written(shared: Cluster, tmp_path: Path) -> None:
    image = tmp_path / "small.img"
    image.touch()
    with image.open("wb") as file:
        file.truncate(4 << 20)
    run(["mkfs.ext4", "-q", "-m", "0", str(image)])
    with loop_device(image) as device, mounted(device, tmp_path / "small") as folder:
        (folder / "store").mkdir()
        config = variant(shared, "n1", tmp_path, data_root=f'"{folder}/store"')
        run(["mount", "-o", "remount,ro", str(folder)])
        refused("ukainode", config, f"{folder}/store")
        run(["mount", "-o", "remount,rw", str(folder)])
        run(["dd", "if=/dev/zero", f"of={folder}/fill", "bs=4k"], None)
        refused("ukainode", config, f"{folder}/store")


def test_zookeeper_that_cannot_be_reached(shared: Cluster, tmp_path: Path) -> None:
    """A wrong address is refused; one where nobody answers yet may be waited for."""
    for servers in ('"127.0.0.1"', '"127.0.0.1:x"', '""', '"127.0.0.1:2181/a//b"'):
        for daemon, program in (("n1", "ukainode"), ("h1", "ukaid")):
            config = variant(shared, daemon, tmp_path, servers=servers)
            refused(program, config, "servers")
