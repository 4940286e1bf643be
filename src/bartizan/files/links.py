"""Flows §10: links that open one file for one person until a rounded hour, and not a moment after they were ended.

`/f/{file}/{variant}/{exp}/{gid}/{who}/{mac}`. The MAC only says that we made the link; whether it still opens anything
is asked of the database at each use. Pure.
"""

from __future__ import annotations

import hmac
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from bartizan.protocol.secrets import Ring, from_base64url, mac, to_base64url

PATH = "/f/{file}/{variant}/{exp}/{gid}/{who}/{mac}"
_PURPOSE = b"file link"


class Variant(StrEnum):
    ORIGINAL = "original"
    THUMB = "thumb"


class Link(Struct, frozen=True, kw_only=True):
    file: UUID
    variant: Variant
    expires: int  # Unix seconds
    gid: UUID
    who: UUID


def rounded(now: int, seconds: int) -> int:
    """The end of the hour after this one: two links made in one hour are the same, and caches hit."""
    return (now // seconds + 2) * seconds


def sign(ring: Ring, link: Link, epoch: int) -> str:
    _, key = ring.newest
    tag = to_base64url(_mac(key, link, epoch))
    return f"/f/{link.file.hex}/{link.variant}/{link.expires}/{link.gid.hex}/{link.who.hex}/{tag}"


def read(ring: Ring, parts: dict[str, str], now: int, epoch: int) -> Link | None:
    """The link of a path that we made, since the last restore, for a time not over; else None, whatever the cause."""
    try:
        link = Link(
            file=_id(parts["file"]),
            variant=Variant(parts["variant"]),
            expires=_seconds(parts["exp"]),
            gid=_id(parts["gid"]),
            who=_id(parts["who"]),
        )
        tag = from_base64url(parts["mac"])
    except ValueError:
        return None
    ours = any(hmac.compare_digest(_mac(key, link, epoch), tag) for _, key in ring.all)
    return link if ours and now < link.expires else None


def _mac(key: bytes, link: Link, epoch: int) -> bytes:
    numbers = link.expires.to_bytes(8, "big") + epoch.to_bytes(8, "big")
    return mac(key, _PURPOSE, link.file.bytes, link.variant.encode(), numbers, link.gid.bytes, link.who.bytes)


def _id(text: str) -> UUID:
    value = UUID(hex=text)
    if value.hex != text:  # one spelling: UUID() also reads braces, dashes and capitals
        raise ValueError("not our spelling")
    return value


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12) or str(int(text)) != text:
        raise ValueError("no time")
    return int(text)
