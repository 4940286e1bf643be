"""What the worker does for files: small pictures, and taking away what nobody owns any more."""

from __future__ import annotations

import asyncio
import io
from uuid import UUID

from bartizan.files import kinds
from bartizan.files.api import THUMBNAIL_JOB
from bartizan.files.links import Variant
from bartizan.files.objects import Objects
from bartizan.files.settings import FilesSettings
from bartizan.model.job import Job, JobRow
from bartizan.model.store import Store

_HOUR = 3600
_OLD = _HOUR  # seconds: an upload that is still under way is younger


def rows(settings: FilesSettings, store: Store) -> tuple[JobRow, ...]:
    objects = Objects(settings.data_dir)
    one_picture = asyncio.Semaphore(1)  # a decoded picture may take 160 MB

    async def thumbnail(job: Job) -> None:
        async with one_picture:
            await make_thumbnail(UUID(job.detail["file"]), settings, store, objects)

    async def orphans(job: Job) -> None:
        await remove_orphans(store, objects)

    return (
        JobRow(kind=THUMBNAIL_JOB, run=thumbnail, attempts=3),
        JobRow(kind="file.orphans", run=orphans, every=_HOUR, seconds=600),
    )


async def make_thumbnail(file_id: UUID, settings: FilesSettings, store: Store, objects: Objects) -> None:
    """Again is harmless: the same picture is put in the same place."""
    async with store.reading() as records:
        file = await records.files.by_id(file_id)
    if file is None or file.media_type not in kinds.IMAGES:
        return
    try:
        source = io.BytesIO(await objects.read(file_id, Variant.ORIGINAL))
    except FileNotFoundError:  # deleted since
        return
    from bartizan.files import pictures  # Pillow costs 6 MB: not before there is a picture

    small = await asyncio.to_thread(
        pictures.thumbnail, source, file.media_type, settings.thumbnail_pixels, settings.max_pixels
    )
    await objects.put(file_id, Variant.THUMB, small)
    async with store.transaction() as records:
        await records.files.set_thumbnail(file_id)
        still_there = await records.files.by_id(file_id) is not None
    if not still_there:  # deleted while it was drawn: nothing of it stays
        objects.remove(file_id)


async def remove_orphans(store: Store, objects: Objects) -> int:
    """Objects without a row: a crash between the two, a person who was erased. Gives how many files went."""
    gone: set[UUID] = set()
    async for file_id in objects.ids(older_than=_OLD):
        if file_id in gone:
            continue
        async with store.reading() as records:
            known = await records.files.by_id(file_id)
        if known is None:
            objects.remove(file_id)
            gone.add(file_id)
    await objects.sweep_half(older_than=_OLD)
    return len(gone)
