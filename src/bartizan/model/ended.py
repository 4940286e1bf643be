"""The list of what was ended (flows §7), read by gateways and guards through the signed feed."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct, field

MOST_LISTED = 20_000  # what every reader can hold; more at once: a new key signs, and the old ones are withdrawn
LONGEST_LIFETIME = 3_600  # seconds that access tokens may be set to live
_SKEW = 60  # seconds by which clocks may differ, and a guard's leeway


def listed_seconds(access_token_lifetime: int) -> int:
    """How long an entry stays: until the last token that it ends has expired everywhere."""
    return access_token_lifetime + _SKEW


LONGEST_LISTED = listed_seconds(LONGEST_LIFETIME)


class EndedPage(Struct, frozen=True, kw_only=True):
    gids: tuple[str, ...]
    cursor: int  # hand it back as `after`
    now: int  # Unix seconds of the database
    kids: tuple[str, ...] = ()  # the keys published at that moment, as `Keys.published` orders them


class Many(Struct, frozen=True, kw_only=True):
    """What an operator ends at once. Without a client: sign-on sessions, and the families that hang on them."""

    client_id: str | None = None  # only what this app has: nobody is signed out of anything else
    before: datetime | None = None  # only what began earlier
    but_user: UUID | None = None  # not this person's
    but_session: UUID | None = None  # not this one: who ends all others from the console stays
    offline: bool = False  # also what hangs on a consent and outlives every sign-out (`offline_access`)


class Meant(Struct, frozen=True, kw_only=True):
    """How many `Many` names at this moment."""

    sessions: int
    families: int
    people: int


class EndedMany(Struct, frozen=True, kw_only=True):
    sessions: int
    families: int
    withdrawn: tuple[str, ...] = field(default=())  # keys that signed until now, if there were too many to list


class Ended(Protocol):
    async def add(self, gid: UUID) -> None:
        """Kept for the longest access lifetime + 60 s."""
        ...

    async def contains(self, gid: UUID) -> bool:
        """Ended, listed or not: asked of the truth, not of the list."""
        ...

    async def after(self, cursor: int) -> EndedPage:
        """Entries after `cursor`, overlapping by 60 s so that late commits are not skipped. 0: all. One statement, so
        that list and keys are of one moment."""
        ...

    async def count_many(self, which: Many) -> Meant:
        """What `end_many` would end now. Nothing is locked or changed."""
        ...

    async def end_many(self, which: Many, reason: str) -> EndedMany:
        """All in one transaction, and with it the change of the key where the list cannot hold them."""
        ...

    async def relieve(self) -> tuple[str, ...]:
        """Changes the key if more is listed than readers can hold; gives the keys withdrawn. Idempotent."""
        ...
