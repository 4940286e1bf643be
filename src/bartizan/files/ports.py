"""What the files server is handed (house rule 13)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct
from starlette.requests import Request

from bartizan.model.meter import Meter
from bartizan.model.store import Store
from bartizan.protocol.secrets import KeyRing

Clock = Callable[[], datetime]
Chance = Callable[[int], bytes]


class Holder(Struct, frozen=True, kw_only=True):
    """Whose token it is, as far as files care."""

    subject: UUID
    gid: UUID


class Checks(Protocol):
    """Access tokens checked by the guard's policy: signature, audience, ended list, scope, CSRF of cookie tokens."""

    async def allow(self, request: Request, scope: str) -> Holder:
        """Raises Refused (401, 403) or Unavailable; the body has not been read by then."""
        ...


class FilesPorts(Struct, frozen=True, kw_only=True):
    store: Store
    ring: KeyRing
    checks: Checks  # `files.checks.GuardChecks(…)`
    meter: Meter
    clock: Clock
    chance: Chance
