"""Files: each belongs to someone. The bytes lie in the object store under the id, never under a user's name for it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct


class File(Struct, frozen=True, kw_only=True):
    id: UUID
    owner: UUID
    name: str  # as the person called it; only ever in Content-Disposition
    media_type: str  # by content
    size: int
    sha256: bytes
    width: int | None
    height: int | None
    thumbnail: bool  # a variant "thumb" exists
    created_at: datetime


class Files(Protocol):
    async def reserve(self, file: File, *, quota: int) -> bool:
        """Adds the row if the owner's bytes stay within quota (bytes), atomically; else False."""
        ...

    async def by_id(self, file_id: UUID) -> File | None: ...

    async def of_owner(self, owner: UUID, *, limit: int, before: UUID | None) -> list[File]: ...

    async def used(self, owner: UUID) -> int: ...

    async def set_thumbnail(self, file_id: UUID) -> None: ...

    async def delete(self, file_id: UUID, owner: UUID) -> bool: ...

    async def may_see(self, file_id: UUID, user_id: UUID, gid: UUID) -> File | None:
        """One SELECT: the row is there, this person's, and the gid is a family of theirs that lives."""
        ...
