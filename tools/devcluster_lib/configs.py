# SPDX-License-Identifier: BSD-2-Clause
"""The configuration file and command line of each kind of daemon."""
from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Callable, Union

from .errors import DevclusterError
from .state import Daemon, State

# Short, so that a test that waits for a session to end does not wait long.
ZK_TICK_MS = 500
SESSION_TIMEOUT_MS = 5000
# In ticks: a member may take so long to follow a new leader, and then be so far behind it.
INIT_TICKS, SYNC_TICKS = 20, 4

Value = Union[str, int, bool]


def binary(name: str) -> str:
    """From $UKAI_BIN, else what the release preset built."""
    folder = Path(os.environ.get("UKAI_BIN") or
                  Path(__file__).resolve().parents[2] / "build" / "release" / "bin")
    path = folder / name
    if not os.access(path, os.X_OK):
        raise DevclusterError(
            f"{path} is not there; build it (cmake --preset release && cmake --build --preset "
            "release) or set UKAI_BIN to the folder that has it")
    return str(path)


def zookeeper_jars() -> str:
    """Debian's class path, and a logger, which Debian leaves to zookeeperd."""
    jars = ["/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar"]
    if not Path(jars[0]).exists():
        raise DevclusterError("ZooKeeper is not installed; run tools/setup")
    return ":".join(jar for jar in jars if Path(jar).exists())


def config_path(state: State, daemon: Daemon) -> Path:
    names = {"zk": "zoo.cfg", "node": "ukainode.toml", "host": "ukaid.toml"}
    return state.home(daemon) / names[daemon.kind]


def _toml(sections: dict[str, dict[str, Value]]) -> str:
    def show(value: Value) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    parts = []
    for section, keys in sections.items():
        lines = [f"{key} = {show(value)}\n" for key, value in keys.items()]
        parts.append(f"[{section}]\n" + "".join(lines))
    return "\n".join(parts)


def _site(daemon: Daemon) -> str:
    """n1 and h1 share a site, and so on, so that "nearest" means something."""
    return f"dev/site{daemon.name[1:]}"


def _server_id(daemon: Daemon) -> int:
    """Of zk3: 3."""
    return int(daemon.name.removeprefix("zk"))


def _zookeeper(state: State, daemon: Daemon) -> str:
    data = state.home(daemon) / "data"
    data.mkdir(exist_ok=True)
    ensemble = ""
    if len(state.ensemble) > 1:
        (data / "myid").write_text(f"{_server_id(daemon)}\n")
        ensemble = f"initLimit={INIT_TICKS}\nsyncLimit={SYNC_TICKS}\n" + "".join(
            f"server.{_server_id(one)}={one.address}:{one.control_port}:{one.election_port}\n"
            for one in state.ensemble)
    return (f"tickTime={ZK_TICK_MS}\n"
            f"dataDir={data}\n"
            f"clientPort={daemon.port}\n"
            f"clientPortAddress={daemon.address}\n"
            "admin.enableServer=false\n"
            "4lw.commands.whitelist=ruok,srvr,mntr,cons,dump\n"
            "autopurge.snapRetainCount=3\n"
            "autopurge.purgeInterval=1\n"
            "maxClientCnxns=0\n"
            f"{ensemble}")


def _node_section(state: State, daemon: Daemon) -> dict[str, Value]:
    home = state.home(daemon)
    return {
        "id": daemon.name,
        "data_root": str(home / "data" / "store"),
        "boot_id_file": str(home / "boot_id"),
    }


def _listen(daemon: Daemon) -> dict[str, Value]:
    return {
        "site": _site(daemon),
        "listen": f"{daemon.address}:{daemon.port}",
        "control_listen": f"{daemon.address}:{daemon.control_port}",
    }


def _metadata(state: State) -> dict[str, Value]:
    return {"servers": state.metadata, "session_timeout_ms": SESSION_TIMEOUT_MS}


def write(state: State, daemon: Daemon) -> None:
    """Writes the daemon's configuration; an edited one is replaced at the next `up`."""
    path = config_path(state, daemon)
    if daemon.kind == "zk":
        path.write_text(_zookeeper(state, daemon))
        return
    sections: dict[str, dict[str, Value]] = {}
    if daemon.kind == "host":
        sections["host"] = {
            "id": daemon.name,
            "mount_point": str(state.mount_point(daemon)),
            "state_dir": str(state.home(daemon) / "state"),
            **_listen(daemon),
        }
        sections["fuse"] = {"allow_other": True}
        if daemon.stores:
            sections["node"] = _node_section(state, daemon)
    else:
        sections["node"] = {**_node_section(state, daemon), **_listen(daemon)}
    sections["metadata"] = _metadata(state)
    path.write_text(_toml(sections))


def command(state: State, daemon: Daemon) -> list[str]:
    config = str(config_path(state, daemon))
    if daemon.kind == "zk":
        return ["java", "-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-XX:-UsePerfData", "-cp", zookeeper_jars(),
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", config]
    return [binary("ukaid" if daemon.kind == "host" else "ukainode"), "--config", config]


def readiness(daemon: Daemon) -> Callable[[str], bool]:
    """Tells from the log, or by asking ZooKeeper, whether the daemon serves."""
    if daemon.kind == "zk":
        return lambda _log: _imok(daemon)
    return lambda log: any("ready" in line.split() for line in _words(log))


def _words(log: str) -> list[str]:
    return [line.replace("=", " ").replace('"', " ") for line in log.splitlines()]


def _imok(daemon: Daemon) -> bool:
    return _ask(daemon, b"ruok") == b"imok"


def in_quorum(daemon: Daemon) -> bool:
    """A ZooKeeper that leads, follows or stands alone; without a quorum it serves nobody."""
    return b"Mode:" in _ask(daemon, b"srvr")


def _ask(daemon: Daemon, word: bytes) -> bytes:
    """ZooKeeper's answer to one of its four-letter words, nothing when there is none."""
    try:
        with socket.create_connection((daemon.address, daemon.port), timeout=1) as connection:
            connection.sendall(word)
            return b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError:
        return b""
