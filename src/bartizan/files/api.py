"""`/files` on the app origin: upload, list, link, delete. A file belongs to the person whose token brought it.

An upload is the raw body, with `Content-Type` and `X-File-Name` (percent-encoded UTF-8): one file a request, streamed,
and nothing of it is parsed before its size is known. Order: object first, then the row with its thumbnail job in one
transaction. A crash between the two leaves an object that nobody can name, and the clean-up job takes it away.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bartizan.files import intake, kinds, links, names
from bartizan.files.intake import Taken
from bartizan.files.links import Link, Variant
from bartizan.files.objects import Objects
from bartizan.files.ports import FilesPorts, Holder
from bartizan.files.settings import FilesSettings
from bartizan.model.event import Event
from bartizan.model.files import File
from bartizan.model.job import Job
from bartizan.protocol.refusal import Refused, Unavailable
from bartizan.protocol.secrets import uuid7
from bartizan.web import body, caller

log = structlog.get_logger()

PAGE = 100
THUMBNAIL_JOB = "file.thumbnail"
_NO_STORE = {"cache-control": "no-store"}


class Api:
    def __init__(self, settings: FilesSettings, ports: FilesPorts, objects: Objects) -> None:
        self._settings = settings
        self._ports = ports
        self._objects = objects
        self._ring = ports.ring.purpose("files")
        self._decoding = asyncio.Semaphore(settings.uploads_at_once)

    async def upload(self, request: Request) -> Response:
        settings, ports = self._settings, self._ports
        holder = await ports.checks.allow(request, settings.write_scope)
        name = names.clean(request.headers.get("x-file-name"))
        announced = body.announced_length(request.scope)
        if announced is not None and announced > settings.max_bytes:
            raise intake.too_large(settings.max_bytes)
        async with ports.store.reading() as records:
            if await records.files.used(holder.subject) + (announced or 0) > settings.quota_bytes:
                raise _full()
        file_id = self._new_id()
        try:
            async with intake.taken(request, settings, self._objects.half, file_id.hex, self._decoding) as taken:
                file = await self._keep(file_id, name, taken, holder)
        except Refused as no:
            await self._note(request, holder, no)
            raise
        ports.meter.count("files_uploaded", amount=1, type=file.media_type)
        return JSONResponse(self._shown(file, holder), 201, {**_NO_STORE, "location": f"/files/{file_id}"})

    async def _keep(self, file_id: UUID, name: str, taken: Taken, holder: Holder) -> File:
        file = File(
            id=file_id,
            owner=holder.subject,
            name=name,
            media_type=taken.media_type,
            size=taken.size,
            sha256=taken.sha256,
            width=taken.width,
            height=taken.height,
            thumbnail=False,
            created_at=self._ports.clock(),
        )
        try:
            await self._put(file_id, taken)
            async with self._ports.store.transaction() as records:
                if not await records.files.reserve(file, quota=self._settings.quota_bytes):
                    raise _full()
                if file.media_type in kinds.IMAGES:
                    job = Job(id=self._new_id(), kind=THUMBNAIL_JOB, detail={"file": str(file_id)})
                    await records.jobs.enqueue(job)
        except BaseException:  # whatever it was, also a cut connection: no row, no object
            self._objects.remove(file_id)
            raise
        return file

    async def _put(self, file_id: UUID, taken: Taken) -> None:
        try:
            await self._objects.put(file_id, Variant.ORIGINAL, taken.path)
        except OSError:
            raise Unavailable("the file store", 30) from None

    async def list(self, request: Request) -> Response:
        """Newest first, a page of a hundred; `next` is what to send as `before`."""
        holder = await self._ports.checks.allow(request, self._settings.read_scope)
        asked = body.query(request)
        _only(asked, "before")
        before = _id(asked.get("before")) if "before" in asked.one else None
        async with self._ports.store.reading() as records:
            files = await records.files.of_owner(holder.subject, limit=PAGE + 1, before=before)
            used = await records.files.used(holder.subject)
        answer = {
            "files": [self._shown(file, holder) for file in files[:PAGE]],
            "next": str(files[PAGE - 1].id) if len(files) > PAGE else None,
            "used": used,
            "quota": self._settings.quota_bytes,
        }
        return JSONResponse(answer, headers=_NO_STORE)

    async def link(self, request: Request) -> Response:
        holder = await self._ports.checks.allow(request, self._settings.read_scope)
        asked = body.query(request)
        _only(asked, "variant")
        variant = asked.get("variant", Variant.ORIGINAL)
        if variant not in tuple(Variant):
            raise Refused("invalid_request", "There is no such variant.", f"variant {variant[:40]!r}")
        async with self._ports.store.reading() as records:
            file = await records.files.may_see(_id(request.path_params["file_id"]), holder.subject, holder.gid)
        if file is None or (variant == Variant.THUMB and not file.thumbnail):
            raise _unknown()
        expires = self._expires()
        return JSONResponse(
            {"url": self._url(file, Variant(variant), holder, expires), "expires_at": expires}, headers=_NO_STORE
        )

    async def delete(self, request: Request) -> Response:
        """The row decides, and its end is the file's end: links are refused from then on."""
        holder = await self._ports.checks.allow(request, self._settings.write_scope)
        file_id = _id(request.path_params["file_id"])
        async with self._ports.store.transaction() as records:
            if not await records.files.delete(file_id, holder.subject):
                raise _unknown()
            await records.events.record(self._event("file.deleted", request, holder, {"file": str(file_id)}))
        self._objects.remove(file_id)
        return Response(status_code=204, headers=_NO_STORE)

    async def _note(self, request: Request, holder: Holder, no: Refused) -> None:
        async with self._ports.store.transaction() as records:
            await records.events.record(self._event("file.refused", request, holder, {"reason": no.code}))

    def _event(self, code: str, request: Request, holder: Holder, detail: dict[str, str]) -> Event:
        return Event(
            code=code,
            user_id=holder.subject,
            gid=holder.gid,
            request_id=caller.request_id(request),
            address=caller.address(request) or None,
            detail=detail,
        )

    def _shown(self, file: File, holder: Holder) -> dict[str, object]:
        expires = self._expires()
        thumbnail = self._url(file, Variant.THUMB, holder, expires) if file.thumbnail else None
        return {
            "id": str(file.id),
            "name": file.name,
            "media_type": file.media_type,
            "size": file.size,
            "width": file.width,
            "height": file.height,
            "created_at": file.created_at.isoformat(),
            "url": self._url(file, Variant.ORIGINAL, holder, expires),
            "thumbnail_url": thumbnail,
        }

    def _expires(self) -> int:
        return links.rounded(int(self._ports.clock().timestamp()), self._settings.link_seconds)

    def _url(self, file: File, variant: Variant, holder: Holder, expires: int) -> str:
        link = Link(file=file.id, variant=variant, expires=expires, gid=holder.gid, who=holder.subject)
        return self._settings.files_origin + links.sign(self._ring, link)

    def _new_id(self) -> UUID:
        return uuid7(int(self._ports.clock().timestamp() * 1000), self._ports.chance(10))


def _id(text: str) -> UUID:
    try:
        value = UUID(text)
    except ValueError:
        raise _unknown() from None
    if str(value) != text:
        raise _unknown()
    return value


def _only(asked: body.Fields, *known: str) -> None:
    for name in asked.one:
        if name not in known:
            raise Refused("invalid_request", "The request is not well formed.", f"parameter {name[:40]!r}")


def _unknown() -> Refused:
    """Never was, was deleted, or is somebody else's: they all look the same."""
    return Refused("not_found", "There is no such file.", status=404)


def _full() -> Refused:
    return Refused("quota", "Your space is full. Delete something first.", status=507)
