# SPDX-License-Identifier: BSD-2-Clause
"""Long operations as jobs: they outlive whoever asked for them, and can be steered."""
from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any, Callable

from cluster import Cluster, binary, wait_until
from files import MIB, pattern, read_at, write_at
from moves_test import LOAD, block_files, placement

USAGE, NOT_FOUND, UNREACHABLE, REFUSED = 2, 3, 7, 8


def job(cluster: Cluster, number: str) -> dict[str, Any]:
    shown: dict[str, Any] = cluster.json("job", "info", number)
    return shown


def detached(cluster: Cluster, *command: str) -> str:
    """Asks for one job and returns its id."""
    started = cluster.json(*command, "--detach")
    assert started["kind"] == "job_started"
    return str(started["job"])


def state(cluster: Cluster, number: str) -> str:
    return str(job(cluster, number)["state"])


def test_a_plan_changes_nothing(own: Cluster, name: str) -> None:
    disk = own.create(name, "32MiB", "n1")
    write_at(disk, 0, pattern(8 * MIB))
    plan = own.json("relocate", name, "--from", "n1", "--to", "n2,n3", "--plan", "--rate", "1M")
    moves = plan["disks"][0]["moves"]
    assert {move["to"] for move in moves} == {"n2", "n3"}
    assert sum(move["blocks"] for move in moves) == 8
    assert plan["disks"][0]["seconds"] == 32
    assert placement(own, name) == {"0-7": "n1:in-sync"}
    assert own.json("job", "list", "--all", name)["jobs"] == []
    own.delete(name)


def test_bad_requests_begin_nothing(own: Cluster, name: str) -> None:
    own.create(name, "32MiB", "n1")
    for status, command in (
            (NOT_FOUND, ["relocate", name, "--from", "n1", "--to", "n9"]),
            (NOT_FOUND, ["relocate", name, "--from", "n9", "--to", "n1"]),
            (NOT_FOUND, ["replicate", name, "--to", "site=mars"]),
            (NOT_FOUND, ["replicate", name, "no-such-disk", "--to", "n2"]),
            (USAGE, ["relocate", name, "--from", "n1", "--to", "n1"]),
            (USAGE, ["replicate", name, "--to", "n2,n2"]),
            (USAGE, ["replicate", name, "--to", "n2", "--blocks", "7-8"]),
            (USAGE, ["replicate", name, "--to", "n2", "--rate", "0"]),
            (NOT_FOUND, ["job", "info", "12345678-1"]),
            (NOT_FOUND, ["job", "cancel", "nonsense"]),
            (NOT_FOUND, ["node", "drain", "n9", "--to", "n1"]),
            (USAGE, ["node", "drain", "n1", "--to", "n1"])):
        line = own.ukaictl(*command, status=status).stderr
        assert line.count("\n") == 1, line
    assert own.json("job", "list", "--all", name)["jobs"] == []
    own.delete(name)


def test_several_disks_move_to_a_site(new_cluster: Callable[..., Cluster], name: str) -> None:
    cluster = new_cluster("--nodes", "3", "--hosts", "2")
    names = [f"{name}-{i}" for i in range(3)]
    for one in names:
        write_at(cluster.create(one, "16MiB", "n1"), 0, pattern(16 * MIB))
    cluster.ctl("relocate", *names, "--from", "n1", "--to", "n2")
    for one in names:
        assert placement(cluster, one) == {"0-3": "n2:in-sync"}
        assert read_at(cluster.mount("h1") / one, 0, 16 * MIB) == pattern(16 * MIB)
    # Empty it again, with one command, twice.
    cluster.ctl("node", "drain", "n2", "--to", "n1,n3")
    assert cluster.json("node", "info", "n2")["admin_state"] == "draining"
    for one in names:
        assert "n2" not in str(placement(cluster, one))
    cluster.ctl("node", "drain", "n2", "--to", "n1,n3")
    wait_until(lambda: block_files(cluster, "n2") == 0, "n2 is empty", 30)
    refused = cluster.ukaictl("location", "add", names[0], "n2", status=REFUSED).stderr
    assert "drained" in refused
    cluster.ctl("node", "drain", "n2", "--stop")
    cluster.ctl("location", "add", names[0], "n2")


def leave(cluster: Cluster, number: str) -> None:
    """Ctrl-C while a command waits for a job ends the waiting, and says how to end the job."""
    with subprocess.Popen([binary("ukaictl"), "job", "wait", number], text=True,
                          env=cluster.environment(), stderr=subprocess.PIPE) as watching:
        time.sleep(1.5)
        watching.send_signal(signal.SIGINT)
        _, line = watching.communicate(timeout=20)
    assert watching.returncode == 1
    assert line == f"ukaictl: job {number} goes on; 'ukaictl job cancel {number}' ends it\n"


def test_a_command_given_again_goes_on(new_cluster: Callable[..., Cluster], name: str) -> None:
    """Also when the job has changed the map already, and after it was cancelled."""
    cluster = new_cluster("--nodes", "3", "--hosts", "1")
    data = pattern(128 * MIB)
    write_at(cluster.create(name, "128MiB", "n1"), 0, data)
    cluster.ctl("location", "add", name, "n2", "--blocks", "0-3")
    cluster.ctl("sync", name)
    to_both = ["--from", "n1", "--to", "n2,n3"]
    number = detached(cluster, "relocate", name, *to_both, "--rate", "8M")
    wait_until(lambda: bool(job(cluster, number)["blocks_done"] > 2), "it copies", 20)
    assert "n2" in str(placement(cluster, name))
    assert detached(cluster, "relocate", name, *to_both) == number
    assert detached(cluster, "node", "drain", "n1", "--to", "n3,n2") == number
    cluster.ctl("node", "drain", "n1", "--stop")
    leave(cluster, number)
    assert state(cluster, number) == "running"
    cluster.ctl("job", "cancel", number)
    wait_until(lambda: state(cluster, number) == "cancelled", "it ends", 20)
    # What had arrived stays, also at its new place; nothing half done is left.
    for where in placement(cluster, name).values():
        states = [location.split(":")[1] for location in where.split()]
        assert where.startswith("n1:") and set(states) == {"in-sync"}, where
    assert cluster.ctl("node", "drain", "n1", "--to", "n2,n3").endswith("node n1 is empty\n")
    at = placement(cluster, name)
    # As many replicas as before: two of the first four blocks, one of each other.
    assert at.pop("0-3") == "n2:in-sync n3:in-sync", at
    assert set(at.values()) == {"n2:in-sync", "n3:in-sync"}, at
    assert cluster.ctl("node", "drain", "n1", "--to", "n2,n3") == "node n1 is empty\n"
    assert read_at(cluster.mount("h1") / name, 0, 128 * MIB) == data
    cluster.verify(name)


def test_a_guest_gets_a_disk_at_once_from_a_job(new_cluster: Callable[..., Cluster],
                                                name: str) -> None:
    cluster = new_cluster("--nodes", "2", "--hosts", "2")
    disk = cluster.create(name, "128MiB", "n1")
    write_at(disk, 0, pattern(128 * MIB))
    wait_until(lambda: cluster.json("lease", "show", name)["holder"] is None, "it is closed", 20)
    number = detached(cluster, "replicate", name, "--to", "n2", "--rate", "8M")
    wait_until(lambda: bool(job(cluster, number)["bytes_moved"] > 0), "it copies", 20)
    runner = str(job(cluster, number)["runner"])
    other = "h1" if runner == "h2" else "h2"
    begin = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", LOAD, str(cluster.mount(other) / name), "6"],
                          stdout=subprocess.PIPE, text=True) as load:
        wait_until(lambda: bool(cluster.json("lease", "show", name)["holder"] == other),
                   "it is taken", 5)
        assert time.monotonic() - begin < 3
        cluster.ctl("job", "rate", number, "unlimited")
        cluster.ctl("job", "wait", number)
        assert load.stdout
        longest, _ = load.stdout.readline().split()
        assert load.wait(60) == 0
    assert float(longest) < 3
    assert job(cluster, number)["runner"] == other
    assert placement(cluster, name) == {"0-31": "n1:in-sync n2:in-sync"}
    cluster.verify(name)
