# SPDX-License-Identifier: BSD-2-Clause
"""Cinder's REST API, without authentication."""
from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any, Callable

MICROVERSION = "volume 3.70"
POLL_SECONDS = 0.3


class Refused(Exception):
    """An HTTP error; `status` is its number."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Api:
    """One project's view, which is the administrator's as well."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/v3"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self._base + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "X-Auth-Token": "user:project",
                     "OpenStack-API-Version": MICROVERSION})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read()
        except urllib.error.HTTPError as failure:
            raise Refused(failure.code, failure.read().decode()) from None
        return json.loads(text) if text else None

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self.call("POST", path, body)

    def action(self, kind: str, item: str, name: str, body: Any) -> Any:
        return self.post(f"/{kind}/{item}/action", {name: body})

    # -- what takes its time

    def wait(self, kind: str, item: str, status: str, seconds: float = 90) -> Any:
        """The item once it has the status; an error that it should not have ends the wait."""
        shown: Any = None

        def reached() -> bool:
            nonlocal shown
            shown = self.get(f"/{kind}s/{item}")[kind]
            if shown["status"].startswith("error") and not status.startswith("error"):
                raise AssertionError(f"{kind} {item} is in {shown['status']}: {shown}")
            return bool(shown["status"] == status)

        until(reached, f"{kind} {item} is {status}", seconds, lambda: str(shown))
        return shown

    def wait_gone(self, kind: str, item: str, seconds: float = 60) -> None:
        shown: Any = None

        def gone() -> bool:
            nonlocal shown
            try:
                shown = self.get(f"/{kind}s/{item}")[kind]
            except Refused as failure:
                if failure.status == 404:
                    return True
                raise
            if shown["status"].startswith("error"):
                raise AssertionError(f"{kind} {item} is in {shown['status']}")
            return False

        until(gone, f"{kind} {item} is gone", seconds, lambda: str(shown))

    # -- volumes

    def create(self, status: str = "available", **fields: Any) -> str:
        """A volume of 1 GiB; `volume_type` and so on as the API names them."""
        made = self.post("/volumes", {"volume": {"size": 1, **fields}})["volume"]
        self.wait("volume", made["id"], status)
        return str(made["id"])

    def volume(self, volume: str) -> Any:
        return self.get(f"/volumes/{volume}")["volume"]

    def volumes(self) -> list[Any]:
        return list(self.get("/volumes/detail?all_tenants=1")["volumes"])

    def delete(self, volume: str) -> None:
        self.call("DELETE", f"/volumes/{volume}")
        self.wait_gone("volume", volume)

    def snapshot(self, volume: str) -> str:
        made = self.post("/snapshots", {"snapshot": {"volume_id": volume, "force": True}})
        self.wait("snapshot", made["snapshot"]["id"], "available")
        return str(made["snapshot"]["id"])

    def delete_snapshot(self, snapshot: str) -> None:
        self.call("DELETE", f"/snapshots/{snapshot}")
        self.wait_gone("snapshot", snapshot)

    def attach(self, volume: str, host: str) -> tuple[str, Any]:
        """The attachment's id and its connection_info."""
        made = self.post("/attachments", {"attachment": {
            "volume_uuid": volume, "connector": {"host": host, "ip": "127.0.0.1",
                                                 "initiator": "iqn", "mountpoint": "/dev/vdb"}}})
        attachment = made["attachment"]
        self.action("attachments", attachment["id"], "os-complete", {})
        return str(attachment["id"]), attachment["connection_info"]

    def detach(self, attachment: str) -> None:
        self.call("DELETE", f"/attachments/{attachment}")

    def make_type(self, name: str, **specs: str) -> None:
        made = self.post("/types", {"volume_type": {"name": name}})["volume_type"]
        self.post(f"/types/{made['id']}/extra_specs", {"extra_specs": specs})

    def services(self, binary: str) -> dict[str, str]:
        """State of each service, by its host."""
        listed = self.get("/os-services")["services"]
        return {entry["host"]: entry["state"] for entry in listed if entry["binary"] == binary}


def until(condition: Callable[[], Any], what: str, seconds: float,
          last: Callable[[], str] = lambda: "", pause: float = POLL_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}. {last()}")
        time.sleep(pause)
