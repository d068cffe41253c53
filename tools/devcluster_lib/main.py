# SPDX-License-Identifier: BSD-2-Clause
"""The command line. Exit status: 0 done, 1 failed, 2 usage."""
from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Optional

from . import cluster as clusters
from .cluster import Cluster
from .errors import DevclusterError, UsageError
from .state import must_load

ON_ONE = {
    "kill": "end a daemon with SIGKILL",
    "stop": "pause a daemon with SIGSTOP",
    "cont": "let a paused daemon go on (SIGCONT)",
    "start": "start a daemon that was killed, and wait until it serves",
    "takeover": "a host: start another ukaid that goes on with its mount; the old one ends",
    "power-cut": "a node: kill it, drop its unflushed data, give it a new boot id, start it again",
    "cut": "take a daemon's network link down (--netns)",
    "heal": "bring the link up again",
}


def _at_least(least: int) -> "type[int]":
    class Number(int):
        def __new__(cls, text: str) -> "Number":
            number = int.__new__(cls, text)
            if not least <= number <= 99:
                raise argparse.ArgumentTypeError(f"must be {least} to 99, not {text}")
            return number
    return Number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="devcluster", description="A whole UKAI on this machine, under one folder.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--dir", required=True, type=Path, metavar="D",
                             help="the cluster's folder")
        return command

    up = add("up", "start ZooKeeper, nodes n1… and hosts h1…; return when all serve. "
             "On a cluster that is up already it starts just what does not run")
    up.add_argument("--nodes", type=_at_least(0), help="storage nodes (default 2)")
    up.add_argument("--hosts", type=_at_least(0), help="hypervisor hosts (default 1)")
    up.add_argument("--zookeepers", type=_at_least(1), metavar="N",
                    help="ZooKeeper servers (default 1, named zk); more are zk1, zk2, …")
    up.add_argument("--local", action="store_true", default=None,
                    help="each host also stores data, as node h1…")
    up.add_argument("--netns", action="store_true", default=None,
                    help="each daemon in its own network namespace")
    up.add_argument("--plain", action="store_true", default=None,
                    help="data in plain folders, not in an ext4 of its own: no power-cut")
    down = add("down", "end everything; the data stays for the next up")
    down.add_argument("--wipe", action="store_true", help="remove the folder as well")
    status = add("status", "show every daemon; 0 when all run")
    status.add_argument("--json", action="store_true", help="for programs")
    for name, text in ON_ONE.items():
        add(name, text).add_argument("name", metavar="NAME", help="zk (or zk1, …), n1, h1, …")
    return parser


def _print_status(cluster: Cluster, as_json: bool) -> int:
    rows = cluster.status()
    if as_json:
        print(json.dumps({"schema": 1, "daemons": rows}, indent=2))
    else:
        keys = list(rows[0])
        widths = {key: max(len(row[key]) for row in [*rows, {key: key}]) for key in keys}
        for row in [{key: key.upper() for key in keys}, *rows]:
            print("  ".join(row[key].ljust(widths[key]) for key in keys).rstrip())
    return 0 if all(row["state"] == "running" and row["link"] == "up" for row in rows) else 1


def _on_one(cluster: Cluster, command: str, name: str) -> None:
    daemon = cluster.state.daemon(name)
    if command == "kill":
        cluster.kill(daemon)
    elif command == "stop":
        cluster.signal(daemon, signal.SIGSTOP)
    elif command == "cont":
        cluster.signal(daemon, signal.SIGCONT)
    elif command == "start":
        cluster.start(daemon)
    elif command == "takeover":
        cluster.takeover(daemon)
    elif command == "power-cut":
        cluster.power_cut(daemon)
    else:
        cluster.set_link(daemon, up=command == "heal")


def _run(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.dir.absolute()
    if arguments.command == "up":
        wanted: dict[str, Optional[int]] = {
            key: getattr(arguments, key)
            for key in ("zookeepers", "nodes", "hosts", "local", "netns", "plain")}
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        with clusters.locked(folder):
            clusters.prepare(folder, wanted).up()
        print(f"up; go on with:  . {folder}/env")
        return 0
    folder = folder.resolve()
    cluster = Cluster(must_load(folder))
    if arguments.command == "status":
        return _print_status(cluster, arguments.json)
    with clusters.locked(folder):
        if arguments.command == "down":
            cluster.down()
            if arguments.wipe:
                shutil.rmtree(folder)
        else:
            _on_one(cluster, arguments.command, arguments.name)
    return 0


def main(argv: list[str]) -> int:
    try:
        return _run(_parser().parse_args(argv))
    except UsageError as error:
        print(f"devcluster: {error}", file=sys.stderr)
        return 2
    except (DevclusterError, OSError) as error:
        print(f"devcluster: {error}", file=sys.stderr)
        return 1
