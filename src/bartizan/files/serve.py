"""Flows §10: the files origin. Each request, ranges too, is checked anew, and nothing that is served can run."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bartizan.files import kinds, links, names, ranges
from bartizan.files.links import Link, Variant
from bartizan.files.objects import Objects
from bartizan.files.ports import FilesPorts
from bartizan.files.settings import FilesSettings
from bartizan.files.sight import seen
from bartizan.model.files import File
from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import origins
from bartizan.protocol.web.csp import SANDBOX
from bartizan.protocol.web.headers import security_headers


class Serve:
    def __init__(self, settings: FilesSettings, ports: FilesPorts, objects: Objects) -> None:
        self._ports = ports
        self._objects = objects
        self._ring = ports.ring.purpose("files")
        https = origins.parse(settings.files_origin).https
        self._headers = {
            **{name.lower(): value for name, value in _security(https)},
            "access-control-allow-origin": settings.app_origin,
            "access-control-expose-headers": "Content-Range, Content-Disposition",
            "vary": "Origin",
            "cache-control": "private, no-cache",  # kept by one browser, asked for again each time
            "accept-ranges": "bytes",
        }

    async def __call__(self, request: Request) -> Response:
        link, file = await self._opened(request)
        try:
            size = file.size if link.variant is Variant.ORIGINAL else await self._objects.size(file.id, link.variant)
        except FileNotFoundError:
            raise _closed("the object is gone") from None
        etag = f'"{file.sha256.hex()[:32]}-{link.variant}"'
        headers = {**self._headers, "etag": etag, **_about(file, link.variant)}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        wanted = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
        try:
            part = ranges.one(wanted, size)
        except Refused as no:
            return Response(status_code=no.status, headers={**headers, **_lower(no.headers)})
        first, last = part or (0, size - 1)
        headers["content-length"] = str(last - first + 1)
        if part is not None:
            headers["content-range"] = f"bytes {first}-{last}/{size}"
        status = 200 if part is None else 206
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        return StreamingResponse(await self._started(file, link.variant, first, last), status, headers)

    async def _opened(self, request: Request) -> tuple[Link, File]:
        """The MAC and the time, then the database: row still there, still this person's, gid not ended."""
        epoch = await self._ports.store.epoch()
        link = links.read(self._ring, request.path_params, int(self._ports.clock().timestamp()), epoch)
        if link is None:
            raise _closed("MAC or time")
        async with self._ports.store.reading() as records:
            file = await seen(records, link)
        if file is None:
            raise _closed("ended, deleted or no longer theirs")
        return link, file

    async def _started(self, file: File, variant: Variant, first: int, last: int) -> AsyncIterator[bytes]:
        """Opened before the head goes out, so that a missing object is a 404 and not a cut answer."""
        stream = self._objects.stream(file.id, variant, first, last)
        try:
            start = await anext(stream)
        except FileNotFoundError:
            raise _closed("the object is gone") from None

        async def whole() -> AsyncIterator[bytes]:
            yield start
            async for piece in stream:
                yield piece

        return whole()

    async def preflight(self, request: Request) -> Response:
        """A script of the app may ask for a range; nobody else, and nothing more."""
        allowed = {
            **self._headers,
            "access-control-allow-methods": "GET, HEAD",
            "access-control-allow-headers": "Range",
            "access-control-max-age": "600",
        }
        return Response(status_code=204, headers=allowed)


def _security(https: bool) -> tuple[tuple[str, str], ...]:
    return security_headers(https=https, csp=SANDBOX.render(), resource="cross-origin")


def _about(file: File, variant: Variant) -> dict[str, str]:
    """Pictures may be shown; everything else is for saving."""
    if variant is Variant.THUMB:
        return {
            "content-type": kinds.THUMB,
            "content-disposition": names.disposition(kinds.saved_as(file.name, kinds.THUMB), inline=True),
        }
    kind = f"{file.media_type}; charset=utf-8" if file.media_type == kinds.TEXT else file.media_type
    inline = file.media_type in kinds.IMAGES
    name = kinds.saved_as(file.name, file.media_type)
    return {"content-type": kind, "content-disposition": names.disposition(name, inline=inline)}


def _lower(pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {name.lower(): value for name, value in pairs}


def _closed(note: str) -> Refused:
    """One answer for every cause: a link tells nothing about a file that it does not open."""
    return Refused("not_found", "This link opens nothing any more.", note, status=404)
