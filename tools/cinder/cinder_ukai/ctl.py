# SPDX-License-Identifier: BSD-2-Clause
"""Runs ukaictl: argument lists in, JSON documents out, each exit status an exception of its own."""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Optional

from oslo_concurrency import processutils

from cinder import exception
from cinder.i18n import _

GRACE_SECONDS = 30  # beyond ukaictl's own timeout: then it hangs, and is killed
KILL_SECONDS = 5
TIMED_OUT = (124, 137)  # of timeout(1): ended, killed
NO_PROGRAM = 127

Document = dict[str, Any]
Execute = Callable[..., tuple[str, str]]


class UkaiError(exception.VolumeBackendAPIException):
    """A failure, in the line that ukaictl said."""

    message = _("ukaictl %(command)s: %(line)s")

    def __init__(self, command: str, line: str) -> None:
        self.line = line
        super().__init__(command=command, line=line)


class NotFound(UkaiError):
    """No such disk, snapshot, node, host or job."""


class AlreadyExists(UkaiError):
    """The name is taken."""


class Busy(UkaiError):
    """Open, held, or something depends on it."""


class NoSpace(UkaiError):
    """A storage node is full."""


class Unreachable(UkaiError):
    """No answer in time. Whether it was done is not known."""


class Refused(UkaiError):
    """Not safe: the last replica, a node that is down, shrinking."""


BY_STATUS: dict[int, type[UkaiError]] = {
    3: NotFound, 4: AlreadyExists, 5: Busy, 6: NoSpace, 7: Unreachable, 8: Refused}


class Ukaictl:
    """ukaictl of one cluster.

    Threads: any; it has no state. Every call ends, within the timeout and GRACE_SECONDS.
    """

    def __init__(self, execute: Execute, program: str, where: list[str], seconds: int) -> None:
        self._execute = execute
        self._seconds = seconds
        self._prefix = ["timeout", f"--kill-after={KILL_SECONDS}", str(seconds + GRACE_SECONDS),
                        program, "-o", "json", f"--timeout={seconds}s", *where]

    def run(self, *arguments: str) -> Document:
        """The first document that it prints; empty when it prints none.

        Errors: UkaiError, or what BY_STATUS says.
        """
        try:
            stdout, _stderr = self._execute(*self._prefix, *arguments)
        except processutils.ProcessExecutionError as failure:
            raise self._error(arguments, failure) from failure
        except OSError as failure:
            raise UkaiError(arguments[0], str(failure)) from failure
        return self._parse(arguments, stdout)

    def _error(self, arguments: tuple[str, ...],
               failure: processutils.ProcessExecutionError) -> UkaiError:
        command = " ".join(arguments)
        if failure.exit_code in TIMED_OUT:
            waited = self._seconds + GRACE_SECONDS
            return Unreachable(command, _("it hung, and was ended after %d s") % waited)
        lines = [line for line in (failure.stderr or "").splitlines() if line.strip()]
        line = lines[-1] if lines else _("it failed with status %s") % failure.exit_code
        return BY_STATUS.get(failure.exit_code, UkaiError)(command, line.removeprefix("ukaictl: "))

    @staticmethod
    def _parse(arguments: tuple[str, ...], stdout: str) -> Document:
        if not stdout.strip():
            return {}
        try:
            document, _end = json.JSONDecoder().raw_decode(stdout.lstrip())
        except ValueError as failure:
            raise UkaiError(arguments[0], _("its output is not JSON: %s") % failure) from failure
        if not isinstance(document, dict) or document.get("schema") != 1:
            raise UkaiError(arguments[0], _("its output is not of schema 1"))
        return document

    # -- looking

    def nodes(self) -> list[Document]:
        return list(self.run("node", "list")["nodes"])

    def hosts(self) -> list[Document]:
        return list(self.run("host", "list")["hosts"])

    def disks(self) -> list[Document]:
        return list(self.run("disk", "list")["disks"])

    def disk(self, name: str) -> Document:
        return self.run("disk", "info", name)

    def servers(self) -> str:
        return str(self.run("status")["metadata"]["servers"])

    def snapshots(self, name: str) -> list[Document]:
        return list(self.run("snapshot", "list", name)["snapshots"])

    # -- disks

    def create(self, name: str, size_bytes: int, layout: list[str], meta: dict[str, str]) -> None:
        self.run("disk", "create", name, f"--size={size_bytes}", *layout, *_notes(meta))

    def delete(self, name: str) -> None:
        self.run("disk", "delete", name, "--if-exists")

    def resize(self, name: str, size_bytes: int) -> None:
        self.run("disk", "resize", name, str(size_bytes))

    def rename(self, name: str, new: str) -> None:
        self.run("disk", "rename", name, new)

    def note(self, name: str, meta: dict[str, str]) -> None:
        """An empty value takes a note off."""
        self.run("disk", "set", name, *_notes(meta))

    def allow(self, name: str, hosts: list[str]) -> None:
        self.run("disk", "hosts", name, *(f"--allow={host}" for host in hosts))

    def deny(self, name: str, hosts: list[str]) -> None:
        self.run("disk", "hosts", name, *(f"--deny={host}" for host in hosts))

    def break_lease(self, name: str) -> None:
        self.run("lease", "release", name, "--force")

    # -- snapshots

    def snapshot(self, name: str, snap: str) -> None:
        self.run("snapshot", "create", f"{name}@{snap}")

    def delete_snapshot(self, name: str, snap: str) -> None:
        self.run("snapshot", "delete", f"{name}@{snap}")

    def rollback(self, name: str, snap: str) -> None:
        self.run("snapshot", "rollback", f"{name}@{snap}")

    def clone(self, source: str, new: str) -> None:
        """`source` is a disk, or DISK@SNAP."""
        self.run("clone", source, new)

    # -- moving; each starts a job and returns its id, or None when there is nothing to do

    def relocate(self, name: str, source: str, target: str, rate: Optional[str]) -> Optional[str]:
        return self._job("relocate", name, f"--from={source}", f"--to={target}", *_rate(rate))

    def replicate(self, name: str, targets: list[str], rate: Optional[str]) -> Optional[str]:
        return self._job("replicate", name, f"--to={','.join(targets)}", *_rate(rate))

    def remove_locations(self, name: str, nodes: list[str]) -> None:
        self.run("location", "remove", name, ",".join(nodes))

    def job(self, job: str) -> Document:
        return self.run("job", "info", job)

    def cancel(self, job: str) -> None:
        self.run("job", "cancel", job)

    def _job(self, *arguments: str) -> Optional[str]:
        job = self.run(*arguments, "--detach").get("job")
        return str(job) if job else None


def _notes(meta: dict[str, str]) -> list[str]:
    return [f"--meta={key}={value}" for key, value in meta.items()]


def _rate(rate: Optional[str]) -> list[str]:
    return [f"--rate={rate}"] if rate else []
