"""`/files` on the app origin: upload, list, link, delete. A file belongs to the person whose token brought it.

An upload is the raw body, with `Content-Type` and `X-File-Name` (percent-encoded UTF-8): one file a request, streamed,
and nothing of it is parsed before its size is known. Order: object first, then the row with its thumbnail job in one
transaction. A crash between the two leaves an object that nobody can name, and the clean-up job takes it away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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
from bartizan.files.sight import seen
from bartizan.model.event import Event
from bartizan.model.files import File
from bartizan.model.job import Job
from bartizan.protocol.refusal import Refused, Unavailable
from bartizan.protocol.secrets import uuid7
from bartizan.web import body, caller

log = structlog.get_logger()

PAGE, MOST = 100, 200  # files in a list: unless asked for more, and at most
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
            half = self._objects.half / file_id.hex
            async with intake.taken(request, settings, half, name, self._decoding) as taken:
                file = await self._keep(file_id, name, taken, holder)
        except Refused as no:
            await self._note(request, holder, no)
            raise
        ports.meter.count("files_uploaded", amount=1, type=file.media_type)
        (shown,) = await self._shown([file], holder)
        return JSONResponse(shown, 201, _NO_STORE)

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
            await self._objects.put(file_id, Variant.ORIGINAL, taken.path)
            # failpoint: upload.put
            async with self._ports.store.transaction() as records:
                if not await records.files.reserve(file, quota=self._settings.quota_bytes):
                    raise _full()
                # failpoint: upload.reserved
                if file.media_type in kinds.IMAGES:
                    job = Job(id=self._new_id(), kind=THUMBNAIL_JOB, detail={"file": str(file_id)})
                    await records.jobs.enqueue(job)
            # failpoint: upload.kept
        except Unavailable:  # perhaps the commit came through and only its answer was lost: the clean-up job will know
            raise
        except BaseException:  # whatever else it was: no row, no object
            self._objects.remove(file_id)
            raise
        return file

    async def list(self, request: Request) -> Response:
        """Newest first, `limit` at a time; `next` is what to send as `before`."""
        holder = await self._ports.checks.allow(request, self._settings.read_scope)
        asked = body.query(request)
        _only(asked, "before", "limit")
        before = _before(asked.one["before"]) if "before" in asked.one else None
        limit = _limit(asked.get("limit", str(PAGE)))
        async with self._ports.store.reading() as records:
            files = await records.files.of_owner(holder.subject, limit=limit + 1, before=before)
            used = await records.files.used(holder.subject)
        answer = {
            "files": await self._shown(files[:limit], holder),
            "next": str(files[limit - 1].id) if len(files) > limit else None,
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
        link = self._link(_id(request.path_params["file_id"]), Variant(variant), holder)
        epoch = await self._ports.store.epoch()
        async with self._ports.store.reading() as records:
            if await seen(records, link) is None:
                raise _unknown()
        return JSONResponse({"url": self._url(link, epoch), "expires_at": link.expires}, headers=_NO_STORE)

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

    async def _shown(self, files: Sequence[File], holder: Holder) -> Sequence[dict[str, object]]:
        epoch = await self._ports.store.epoch()
        return [self._one(file, holder, epoch) for file in files]

    def _one(self, file: File, holder: Holder, epoch: int) -> dict[str, object]:
        small = self._url(self._link(file.id, Variant.THUMB, holder), epoch) if file.thumbnail else None
        return {
            "id": str(file.id),
            "name": file.name,
            "media_type": file.media_type,
            "size": file.size,
            "width": file.width,
            "height": file.height,
            "created_at": file.created_at.isoformat(),
            "url": self._url(self._link(file.id, Variant.ORIGINAL, holder), epoch),
            "thumbnail_url": small,
        }

    def _link(self, file_id: UUID, variant: Variant, holder: Holder) -> Link:
        expires = links.rounded(int(self._ports.clock().timestamp()), self._settings.link_seconds)
        return Link(file=file_id, variant=variant, expires=expires, gid=holder.gid, who=holder.subject)

    def _url(self, link: Link, epoch: int) -> str:
        return self._settings.files_origin + links.sign(self._ring, link, epoch)

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


def _before(text: str) -> UUID:
    try:
        return _id(text)
    except Refused:
        raise _bad(f"before {text[:40]!r}") from None


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MOST):
        raise _bad(f"limit {text[:40]!r}")
    return int(text)


def _bad(note: str) -> Refused:
    return Refused("invalid_request", "The request is not well formed.", note)


def _only(asked: body.Fields, *known: str) -> None:
    for name in asked.one:
        if name not in known:
            raise _bad(f"parameter {name[:40]!r}")


def _unknown() -> Refused:
    """Never was, was deleted, or is somebody else's: they all look the same."""
    return Refused("not_found", "There is no such file.", status=404)


def _full() -> Refused:
    return Refused("quota", "Your space is full. Delete something first.", status=507)
