"""What the auth server is handed (§3 "Build in one place"): everything that touches the world outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from bartizan.model.health import Health
from bartizan.model.limit import Limits
from bartizan.model.meter import Meter
from bartizan.model.store import Store
from bartizan.protocol.secrets import KeyRing

Clock = Callable[[], datetime]
Chance = Callable[[int], bytes]


class Passwords(Protocol):
    """The bounded argon2id pool (`auth/passwords.py`). Raises Unavailable when too many wait."""

    def full(self, who: str = "") -> int:
        """0: there is room for that address. Else the seconds after which to come back."""
        ...

    async def hash(self, password: str) -> str: ...

    async def verify(self, password_hash: str | None, password: str, *, who: str = "") -> bool:
        """The same work for an unknown user (None) as for a wrong password."""
        ...


class AuthPorts(Struct, frozen=True, kw_only=True):
    store: Store
    limits: Limits
    ring: KeyRing
    meter: Meter
    health: Health
    clock: Clock
    chance: Chance
    passwords: Passwords
