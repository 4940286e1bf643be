"""Limits: what the cache counts. Keys are hashed before they leave us."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Limit(Struct, frozen=True):
    """`amount` in `seconds`, moving window."""

    amount: int
    seconds: int


class Taken(Struct, frozen=True):
    allowed: bool
    reset_seconds: int  # until a try is allowed again; 0 if this one was


class Limits(Protocol):
    async def hit(self, what: str, who: str, limit: Limit) -> Taken:
        """Counts one. `what` names the rule, `who` the counted (an address, an identifier): hashed here."""
        ...

    async def clear(self, what: str, who: str) -> None: ...
