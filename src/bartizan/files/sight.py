"""Flows §10: whether a link opens its file now. Asked at each use, ranges and revalidations too."""

from __future__ import annotations

from bartizan.files.links import Link, Variant
from bartizan.model.files import File
from bartizan.model.store import Records


async def seen(records: Records, link: Link) -> File | None:
    """The file, if it is there, theirs, what gave the link lives, and the variant exists."""
    file = await records.files.may_see(link.file, link.who, link.gid)
    if file is None or (link.variant is Variant.THUMB and not file.thumbnail):
        return None
    return file
