"""Static files under names that hold their own hash: they may be kept for ever, and never go stale.

Read once at start. A stylesheet's `url("…")` of another file here is rewritten to that file's hashed name.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path, PurePosixPath

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from bartizan.model.route import Origin, Route, Who
from bartizan.protocol.refusal import Refused

KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
}
_URL = re.compile(rb'url\("([^":]+)"\)')
_TEXT = (".css", ".js", ".mjs", ".svg", ".txt")


class Stored(Struct, frozen=True):
    kind: str
    body: bytes
    gzipped: bytes | None


class Static:
    """`url("bartizan.css")` → "/static/bartizan.1f2e3d4c.css". Later folders add names; a name twice is a mistake."""

    def __init__(self, *folders: Path, prefix: str = "/static") -> None:
        self._prefix = prefix
        self._urls: dict[str, str] = {}
        self._files: dict[str, Stored] = {}
        found = sorted(
            (path.relative_to(folder).as_posix(), path)
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file() and path.suffix in KINDS
        )
        for name, path in sorted(found, key=lambda pair: pair[1].suffix == ".css"):  # what stylesheets name comes first
            if name in self._urls:
                raise ValueError(f"two static files are called {name}")
            self._add(name, path.read_bytes())

    def _add(self, name: str, body: bytes) -> None:
        suffix = PurePosixPath(name).suffix
        if suffix == ".css":
            body = _URL.sub(lambda match: b'url("' + self._beside(match[1].decode()).encode() + b'")', body)
        digest = hashlib.sha256(body).hexdigest()[:12]
        hashed = f"{PurePosixPath(name).stem}.{digest}{suffix}"
        packed = gzip.compress(body, 9, mtime=0) if suffix in _TEXT else None
        self._files[hashed] = Stored(KINDS[suffix], body, packed)
        self._urls[name] = f"{self._prefix}/{hashed}"

    def _beside(self, name: str) -> str:
        return self._urls[name]

    def url(self, name: str) -> str:
        return self._urls[name]

    async def serve(self, request: Request) -> Response:
        stored = self._files.get(request.path_params["name"])
        if stored is None:
            raise Refused("not_found", "There is no page at this address.", status=404)
        headers = {
            "content-type": stored.kind,
            "cache-control": "public, max-age=31536000, immutable",
            "vary": "accept-encoding",
        }
        if stored.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(stored.gzipped, headers={**headers, "content-encoding": "gzip"})
        return Response(stored.body, headers=headers)

    def routes(self, origin: Origin = Origin.ID) -> tuple[Route, ...]:
        return (
            Route(
                methods=("GET",), path=f"{self._prefix}/{{name}}", endpoint=self.serve, who=Who.ANYONE, origin=origin
            ),
        )
