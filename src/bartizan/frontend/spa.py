"""The SPA's directory as a table of files: only what a scan found is served, so no path can lead out of it.

`index.html` names its files under `/-/<digest of them all>/…`: these addresses never change their content and are kept
for a year, and relative imports inside modules stay under the same digest. Under their own names they are asked for
again each time. A build tool's output and hand-written modules are served alike.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import structlog
from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from bartizan.frontend import spa_page
from bartizan.frontend.settings import FrontendSettings
from bartizan.frontend.spa_names import versioned
from bartizan.protocol.refusal import Refused

log = structlog.get_logger()

VERSIONED = "/-/"
_FOREVER = "public, max-age=31536000, immutable"
_ASK = "no-cache"
_LOOK_AGAIN = 1.0  # seconds: a changed directory is seen after this
_IN_MEMORY = 2 * 1024 * 1024  # bytes of a file that is kept; larger ones stay on disk
INDEX = "index.html"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".woff": "font/woff",
    ".txt": "text/plain; charset=utf-8",
    ".xml": "application/xml",
    ".pdf": "application/pdf",
    ".wasm": "application/wasm",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}


class Found(Struct, frozen=True):
    path: Path
    kind: str
    etag: str
    body: bytes | None  # None: too large to keep
    versioned: bytes | None = None  # what differs under the version's address


class Tree(Struct, frozen=True):
    """One state of the directory."""

    files: dict[str, Found]
    digest: str
    page: spa_page.Page | None


def scan(folder: Path, settings: FrontendSettings) -> Tree:
    """Every plain file below, without dot files and without links that lead out."""
    root = folder.resolve()
    files = dict(_found(root))
    total = hashlib.sha256()
    for name, found in files.items():
        total.update(f"{name}\0{found.etag}\0".encode("utf-8", "surrogateescape"))
    digest = total.hexdigest()[:16]
    prefix, names = f"{VERSIONED}{digest}/", frozenset(files)
    for name, found in files.items():
        if found.body is not None:
            files[name] = replace(found, versioned=versioned(found.path.suffix, found.body, prefix, names))
    index = files.get(INDEX)
    page = None
    if index is not None and index.body is not None:
        page = spa_page.prepare(index.body, prefix, names, settings)
    return Tree(files, digest, page)


def _found(root: Path) -> Iterator[tuple[str, Found]]:
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
        if hidden or not path.is_file() or not path.resolve().is_relative_to(root):
            continue
        try:
            body = path.read_bytes()
        except OSError as fault:  # not ours to read, or gone since: the others are served
            log.warning("a file of the SPA cannot be read", name=name, fault=type(fault).__name__)
            continue
        kept = body if len(body) <= _IN_MEMORY else None
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        yield name, Found(path, _TYPES.get(path.suffix.lower(), "application/octet-stream"), etag, kept)


def state(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What tells that something changed, without reading it."""
    seen = []
    for path in sorted(folder.rglob("*")):
        with suppress(OSError):  # gone since it was listed
            info = path.stat()
            seen.append((str(path), info.st_mtime_ns, info.st_size))
    return tuple(seen)


class Spa:
    def __init__(self, folder: Path, settings: FrontendSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._state = state(folder)
        self._tree = scan(folder, settings) if folder.is_dir() else Tree({}, "", None)
        self._looked = time.monotonic()
        self._looking = asyncio.Lock()

    async def __call__(self, request: Request) -> Response:
        tree = await self._current()
        path = request.scope["path"]
        version, name = _split(path)
        found = tree.files.get(name)
        if found is not None and name != INDEX:
            if version == tree.digest:
                return _serve(request, found, found.versioned, _FOREVER)
            # An older version's address gets what there is now, but nobody keeps it under that name.
            return _serve(request, found, found.body, _ASK)
        ours = path.startswith("/bff/")  # no page of the app is there
        if ours or version or tree.page is None or not _wants_page(request, name):
            raise Refused("not_found", "There is no page at this address.", f"no file {path[:200]!r}", status=404)
        return spa_page.serve(request, tree.page)

    async def _current(self) -> Tree:
        if time.monotonic() - self._looked >= _LOOK_AGAIN and not self._looking.locked():
            async with self._looking:
                now = await asyncio.to_thread(state, self._folder)
                if now != self._state:
                    self._tree = await asyncio.to_thread(scan, self._folder, self._settings)
                    self._state = now
                self._looked = time.monotonic()
        return self._tree


def _split(path: str) -> tuple[str, str]:
    """(version, name in the tree); the version is empty for a plain address."""
    if path.startswith(VERSIONED):
        version, _, name = path.removeprefix(VERSIONED).partition("/")
        return version, name
    return "", path.removeprefix("/") or INDEX


def _wants_page(request: Request, name: str) -> bool:
    """History fallback: only for somebody who opens an address, never for a script, a style or a picture."""
    if name == INDEX:
        return True
    mode = request.headers.get("sec-fetch-mode")
    return mode in (None, "navigate") and "text/html" in request.headers.get("accept", "")


def _serve(request: Request, found: Found, body: bytes | None, cache: str) -> Response:
    headers = {"cache-control": cache, "etag": found.etag}
    if found.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if body is None:
        return FileResponse(found.path, headers=headers, media_type=found.kind)
    return Response(body, headers={**headers, "content-type": found.kind})
