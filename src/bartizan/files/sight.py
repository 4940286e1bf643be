"""Flows §10: whether a link opens its file now. Asked at each use, ranges and revalidations too."""

from __future__ import annotations

from bartizan.files.links import Link, Variant
from bartizan.model.files import File
from bartizan.model.store import Records


async def seen(records: Records, link: Link) -> File | None:
    """The file, if it is there, theirs, and what gave the link lives.

    The list of the ended forgets a gid when its last access token is over, minutes after; a link holds for an hour or
    two. So the family itself is looked at as well.
    """
    file = await records.files.may_see(link.file, link.who, link.gid)
    if file is None or (link.variant is Variant.THUMB and not file.thumbnail):
        return None
    family = await records.families.by_id(link.gid)
    return file if family is not None and family.user_id == link.who else None
