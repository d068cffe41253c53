# SPDX-License-Identifier: BSD-2-Clause
"""A dev cluster as the tests see it: tools/devcluster and ukaictl; errors hold what they said."""
from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Optional

ROOT = Path(__file__).resolve().parents[2]
DEVCLUSTER = ROOT / "tools" / "devcluster"
COMMAND_SECONDS = 120


def binary(name: str) -> str:
    folder = os.environ.get("UKAI_BIN") or ROOT / "build" / "release" / "bin"
    return str(Path(folder) / name)


def run(command: list[str], status: Optional[int] = 0, seconds: float = COMMAND_SECONDS,
        **options: Any) -> "subprocess.CompletedProcess[str]":
    """Runs it and checks its status (None: any)."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, **options)
    if status is not None and done.returncode != status:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}, not {status}\n"
                             f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


class Cluster:
    """One dev cluster, under its own folder. Used by one test at a time."""

    live: list["Cluster"] = []

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        Cluster.live.append(self)
        self.devcluster("up", *options)

    def end(self) -> None:
        self.devcluster("down")
        Cluster.live.remove(self)

    # -- devcluster

    def devcluster(self, command: str, *arguments: str, status: Optional[int] = 0) -> str:
        return run([str(DEVCLUSTER), command, "--dir", str(self.folder), *arguments],
                   status).stdout

    def kill(self, name: str) -> None:
        self.devcluster("kill", name)

    def start(self, name: str) -> None:
        self.devcluster("start", name)

    def daemons(self) -> dict[str, dict[str, str]]:
        shown = json.loads(self.devcluster("status", "--json", status=None))
        return {daemon["name"]: daemon for daemon in shown["daemons"]}

    def home(self, name: str) -> Path:
        return self.folder / name

    def abort(self) -> None:
        """Ends the hosts at once, so that no test hangs in a mount for ever."""
        for home in self.folder.glob("h*"):
            self.devcluster("kill", home.name, status=None)  # it checks whose process it is

    # -- ukaictl

    def environment(self) -> dict[str, str]:
        result = dict(os.environ)
        for line in (self.folder / "env").read_text().splitlines():
            key, value = line.removeprefix("export ").split("=", 1)
            result[key] = value.strip("'")
        return result

    @property
    def metadata(self) -> str:
        return self.environment()["UKAI_METADATA"]

    def ukaictl(self, *arguments: str, status: Optional[int] = 0, seconds: float = COMMAND_SECONDS,
                ) -> "subprocess.CompletedProcess[str]":
        return run([binary("ukaictl"), *arguments], status, seconds, env=self.environment())

    def ctl(self, *arguments: str) -> str:
        return self.ukaictl(*arguments).stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ctl("-o", "json", *arguments))

    # -- disks

    def mount(self, host: str = "h1") -> Path:
        return self.folder / host / "mnt"

    def create(self, name: str, size: str, nodes: str, *options: str) -> Path:
        """Creates a disk and returns its file on h1."""
        self.ctl("disk", "create", name, "--size", size, "--location", nodes, *options)
        return self.mount() / name

    def delete(self, name: str) -> None:
        """Waits for closed handles to be gone: RELEASE comes after close() has returned."""
        wait_until(lambda: self.ukaictl("disk", "delete", name, status=None).returncode != 5,
                   f"{name} is not busy any more", 30)

    def info(self, name: str) -> Any:
        return self.json("disk", "info", name)

    def health(self, name: str) -> str:
        return str(self.info(name)["health"])

    def member(self, name: str, node: str) -> Any:
        return next(member for member in self.info(name)["members"] if member["node"] == node)

    def wait_healthy(self, name: str, seconds: float = 90) -> None:
        wait_until(lambda: self.health(name) == "healthy", f"{name} is healthy", seconds)

    def verify(self, name: str) -> None:
        found = self.json("disk", "verify", name)
        assert found["identical"], found

    # -- ZooKeeper

    def four_letters(self, word: str) -> str:
        """ZooKeeper's own diagnostics (the first one's)."""
        import socket
        host, port = self.metadata.split("/")[0].split(",")[0].split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(word.encode())
            parts = iter(lambda: connection.recv(65536), b"")
            return b"".join(parts).decode()

    def metadata_bytes(self) -> int:
        """What all of ZooKeeper's nodes hold, names included."""
        for line in self.four_letters("mntr").splitlines():
            key, _, value = line.partition("\t")
            if key == "zk_approximate_data_size":
                return int(value)
        raise AssertionError("mntr does not tell its data size")

    def zookeeper_shell(self, *lines: str) -> str:
        """Runs commands of ZooKeeper's own client."""
        jars = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-nop.jar"
        done = run(["java", "-XX:TieredStopAtLevel=1", "-cp", jars,
                    "org.apache.zookeeper.ZooKeeperMain", "-server", self.metadata],
                   None, input="".join(line + "\n" for line in lines))
        return done.stdout + done.stderr
