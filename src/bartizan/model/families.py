"""Refresh families (flows §6): one row a family, rotated by one HOT UPDATE, classified by one table."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from msgspec import Struct


class Family(Struct, frozen=True, kw_only=True):
    id: UUID  # the `gid` of every access token it gave
    user_id: UUID
    client_id: str
    session_id: UUID | None  # None: hangs on consent (offline_access), not on a session
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    csrf: str | None  # set: its access tokens are cookie tokens with this `csrf` claim
    bff: bool  # granted to the BFF: ends its session on theft, exempt from the graced-run counter
    nonce: str | None
    auth_time: datetime
    generation: int
    key_id: str  # MAC key of the current generation
    created_at: datetime
    rotated_at: datetime
    idle_until: datetime
    absolute_until: datetime


class NewFamily(Struct, frozen=True, kw_only=True):
    """A family that is to begin: its times are the database's, in the statement that begins it (F§7)."""

    id: UUID
    user_id: UUID
    client_id: str
    session_id: UUID | None
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    csrf: str | None
    bff: bool
    nonce: str | None
    auth_time: datetime
    key_id: str
    idle_seconds: int
    absolute_seconds: int


class Outcome(StrEnum):
    """What presenting a token came to. The rows of the table in flows §6."""

    ROTATED = "rotated"
    GRACE = "grace"  # the newest successor, derived again
    LATE_RETRY = "late_retry"  # likewise, counted once a generation
    UNKNOWN = "unknown"  # no such family, other client: nothing happens to it
    ENDED = "ended"  # expired, revoked, session or consent gone
    THEFT = "theft"  # the family has been ended; committed
    CONTENDED = "contended"  # ended after three late retries in 24 h
    AHEAD = "ahead"  # above the row: the database went back; family refused


class Rotation(Struct, frozen=True, kw_only=True):
    outcome: Outcome
    family: Family | None  # state after the call; for ROTATED, GRACE, LATE_RETRY its generation is the successor's
    now: datetime  # the database's clock in that statement: iat and exp come from it


class Families(Protocol):
    """Part of a transaction. A family begins where a code is redeemed (`codes.py`, Redemptions)."""

    async def by_id(self, family_id: UUID) -> Family | None:
        """The living family, or None."""
        ...

    async def end(self, family_id: UUID, reason: str) -> bool:
        """Ends it and lists its gid as ended, in this transaction. False when it had ended already."""
        ...

    async def of_user(self, user_id: UUID) -> list[Family]: ...


class Rotations(Protocol):
    """Owns its transactions, so that concurrent rotations may share a statement and a commit."""

    async def rotate(
        self, family_id: UUID, generation: int, client_id: str, *, key_id: str, idle_seconds: int
    ) -> Rotation:
        """Present `generation`; atomically rotate or classify. THEFT and CONTENDED are committed, with their
        event and mail job, before this returns."""
        ...
