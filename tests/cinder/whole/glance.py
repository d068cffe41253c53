#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A stand-in for Glance: as much of its API, version 2, as Cinder uses. glance.py PORT FOLDER

An image is FOLDER/ID.json and FOLDER/ID, so that tests see what has arrived.
"""
from __future__ import annotations

import json
import shutil
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PIECE_BYTES = 1 << 20
NEW: dict[str, Any] = {
    "id": None, "name": None, "status": "queued", "visibility": "private", "owner": "project",
    "disk_format": None, "container_format": None, "size": None, "min_disk": 0, "min_ram": 0,
    "tags": [], "protected": False, "checksum": None, "virtual_size": None,
    "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path

    def log_message(self, format: str, *arguments: Any) -> None:
        """Quiet."""

    def _words(self) -> list[str]:
        return self.path.split("?")[0].strip("/").split("/")[1:]

    def _answer(self, status: int, document: Any = None) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pieces(self) -> Any:
        """The request's body, chunked or not."""
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            while size := int(self.rfile.readline().strip(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            piece = self.rfile.read(min(left, PIECE_BYTES))
            left -= len(piece)
            yield piece

    def _load(self, image: str) -> dict[str, Any] | None:
        path = self.folder / f"{image}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def _store(self, image: dict[str, Any]) -> None:
        (self.folder / f"{image['id']}.json").write_text(json.dumps(image))

    def do_GET(self) -> None:
        words = self._words()
        if words[0] == "schemas":
            self._answer(200, {"name": "image", "properties": {key: {} for key in NEW}})
            return
        image = self._load(words[1])
        if image is None:
            self._answer(404)
        elif words[2:] == ["file"]:
            data = self.folder / words[1]
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(data.stat().st_size))
            self.end_headers()
            with data.open("rb") as source:
                shutil.copyfileobj(source, self.wfile, PIECE_BYTES)
        else:
            self._answer(200, image)

    def do_POST(self) -> None:
        image = {**NEW, "id": str(uuid.uuid4())}
        image |= json.loads(b"".join(self._pieces()) or b"{}")
        self._store(image)
        self._answer(201, image)

    def do_PUT(self) -> None:
        image = self._load(self._words()[1])
        assert image is not None
        with (self.folder / image["id"]).open("wb") as target:
            for piece in self._pieces():
                target.write(piece)
            image |= {"size": target.tell(), "status": "active"}
        self._store(image)
        self._answer(204)

    def do_PATCH(self) -> None:
        image = self._load(self._words()[1])
        assert image is not None
        for change in json.loads(b"".join(self._pieces())):
            key = change["path"].strip("/")
            if change["op"] == "remove":
                image.pop(key, None)
            else:
                image[key] = change["value"]
        self._store(image)
        self._answer(200, image)

    def do_DELETE(self) -> None:
        for path in self.folder.glob(f"{self._words()[1]}*"):
            path.unlink()
        self._answer(204)


if __name__ == "__main__":
    Handler.folder = Path(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
