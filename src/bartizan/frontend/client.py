"""The browser client: `/bff/client.js` is the module of the configured mode, so that an app imports one address.

Its source lies in `clients/js` of the repository; a wheel carries it beside this file (`client_js/`).
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from bartizan.model.clients import Mode

COOKIE, MEMORY = "bartizan.js", "bartizan-memory.js"
_HERE = Path(__file__).parent


def folder() -> Path:
    """In a wheel beside us, in a checkout at its root."""
    packed = _HERE / "client_js"
    return packed if packed.is_dir() else _HERE.parents[2] / "clients" / "js"


class Module:
    """One file, read once. `no-cache`: its address has no version, so browsers ask, and mostly hear 304."""

    def __init__(self, path: Path) -> None:
        self._body = path.read_bytes()
        self._gzipped = gzip.compress(self._body, 9, mtime=0)
        self._etag = f'"{hashlib.sha256(self._body).hexdigest()[:32]}"'

    async def __call__(self, request: Request) -> Response:
        headers = {"cache-control": "no-cache", "etag": self._etag, "vary": "accept-encoding"}
        if self._etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        headers["content-type"] = "text/javascript; charset=utf-8"
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self._gzipped, headers={**headers, "content-encoding": "gzip"})
        return Response(self._body, headers=headers)


def modules(mode: Mode) -> tuple[tuple[str, Module], ...]:
    """(path, endpoint): both by their own names, and the configured one as `client.js`."""
    cookie, memory = Module(folder() / COOKIE), Module(folder() / MEMORY)
    chosen = memory if mode is Mode.MEMORY else cookie
    return (("/bff/client.js", chosen), (f"/bff/{COOKIE}", cookie), (f"/bff/{MEMORY}", memory))
