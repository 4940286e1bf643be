"""Limits: what the cache counts. Keys are hashed before they leave us."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Limit(Struct, frozen=True):
    """`amount` in `seconds`, moving window."""

    amount: int
    seconds: int


class Try(Struct, frozen=True):
    """`what` names the rule, `who` the counted: an identifier, an address, an id."""

    what: str
    who: str
    limit: Limit


class Taken(Struct, frozen=True):
    allowed: bool
    reset_seconds: int  # until a try is allowed again; 0 if this one was
    earlier: int = 0  # of an allowed one: how many are kept from before it, at most


class Limits(Protocol):
    async def take(self, *tries: Try) -> tuple[Taken, ...]:
        """One answer for each. All are counted if all are allowed, else none: what did not happen is no try.

        So who may not try any more cannot use up what others have left. Of one rule and one counted comes one try.
        """
        ...

    async def clear(self, what: str, who: str) -> None: ...
