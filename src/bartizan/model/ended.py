"""The list of what was ended (flows §7), read by gateways and guards through the signed feed."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from msgspec import Struct


class EndedPage(Struct, frozen=True, kw_only=True):
    gids: tuple[str, ...]
    cursor: int  # hand it back as `after`
    now: int  # Unix seconds of the database


class Ended(Protocol):
    async def add(self, gid: UUID) -> None:
        """Kept for the longest access lifetime + 60 s."""
        ...

    async def contains(self, gid: UUID) -> bool: ...

    async def after(self, cursor: int) -> EndedPage:
        """Entries after `cursor`, overlapping by 60 s so that late commits are not skipped. 0: all."""
        ...
