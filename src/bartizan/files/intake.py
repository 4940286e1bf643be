"""One upload on its way in: counted while it streams, looked at when it is whole, gone without a trace if it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from msgspec import Struct
from starlette.requests import Request

from bartizan.files import kinds
from bartizan.files.settings import FilesSettings
from bartizan.protocol.refusal import Refused, Unavailable

_FLUSH = 256 * 1024  # bytes collected before they go to the disk


class Taken(Struct, frozen=True, kw_only=True):
    path: Path
    size: int
    sha256: bytes
    media_type: str
    width: int | None = None
    height: int | None = None


def too_large(limit: int) -> Refused:
    return Refused("too_large", f"A file may have {limit // (1024 * 1024)} MB at most.", status=413)


@contextlib.asynccontextmanager
async def taken(
    request: Request, settings: FilesSettings, path: Path, name: str, decoding: asyncio.Semaphore
) -> AsyncIterator[Taken]:
    """The upload, whole and checked, in a new file at `path` that is gone when the block ends, however it ends."""
    try:
        size, digest = await _receive(request, path, settings.max_bytes)
        async with decoding:
            found = await asyncio.to_thread(
                _look, path, name, size, digest, request.headers.get("content-type", ""), settings
            )
        yield found
    finally:
        _gone(path)


def _gone(path: Path) -> None:
    path.unlink(missing_ok=True)  # microseconds, and a cancelled task could await nothing here


async def _receive(request: Request, path: Path, limit: int) -> tuple[int, bytes]:
    """Raises ClientDisconnect when the connection is cut: then nothing has happened."""
    digest, size, pending = hashlib.sha256(), 0, bytearray()
    try:
        file = await asyncio.to_thread(path.open, "xb")
        with file:
            async with contextlib.aclosing(request.stream()) as chunks:
                async for chunk in chunks:
                    # failpoint: upload.chunk
                    size += len(chunk)
                    if size > limit:
                        raise too_large(limit)
                    pending += chunk
                    if len(pending) >= _FLUSH:
                        digest.update(pending)
                        await asyncio.to_thread(file.write, bytes(pending))
                        pending.clear()
            digest.update(pending)
            await asyncio.to_thread(file.write, bytes(pending))
    except OSError:  # a full disk: nothing was promised yet
        raise Unavailable("the file store", 30) from None
    # failpoint: upload.received
    if size == 0:
        raise Refused("empty_file", "The file is empty.")
    return size, digest.digest()


def _look(path: Path, name: str, size: int, digest: bytes, claimed: str, settings: FilesSettings) -> Taken:
    """The type by content; that it is allowed, and what the sender said; that a picture really is one."""
    with path.open("rb") as file:
        head = file.read(kinds.HEAD)
    found = kinds.of(head, whole=size <= kinds.HEAD)
    if found not in settings.allowed_types:
        raise _not_taken(f"content is {found}")
    if not kinds.agrees(claimed, found):
        raise _not_taken(f"content is {found}, sent as {claimed[:60]!r}")
    if not kinds.named_so(name, found):
        raise _not_taken(f"content is {found}, its name has another ending")
    if found == kinds.TEXT and not _all_text(path):
        raise _not_taken("begins as text and goes on as something else")
    if found not in kinds.IMAGES:
        return Taken(path=path, size=size, sha256=digest, media_type=found)
    from bartizan.files import pictures  # Pillow costs 6 MB, which a process without uploads never pays

    try:
        measured = pictures.verify(path, found, settings.max_pixels)
    except pictures.NotAPicture as bad:
        raise Refused("bad_image", "This picture is damaged or too large.", bad.reason, status=422) from None
    return Taken(path=path, size=size, sha256=digest, media_type=found, width=measured.width, height=measured.height)


def _all_text(path: Path) -> bool:
    """Piece by piece, so that a long text is never in memory as a whole."""
    text = kinds.Text()
    with path.open("rb") as file:
        while piece := file.read(_FLUSH):
            if not text.goes_on(piece):
                return False
    return text.ends()


def _not_taken(note: str) -> Refused:
    return Refused("unsupported_type", "Files of this type are not taken.", note, status=415)
