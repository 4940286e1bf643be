"""What the frontend server is handed (house rule 13): everything that touches the world outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import httpx2
from msgspec import Struct

from bartizan.model.limit import Limits
from bartizan.model.meter import Meter
from bartizan.model.store import Store
from bartizan.protocol.secrets import KeyRing

Clock = Callable[[], datetime]
Chance = Callable[[int], bytes]


class FrontendPorts(Struct, frozen=True, kw_only=True):
    store: Store  # for `csp.report` events alone: the BFF itself keeps nothing
    limits: Limits
    ring: KeyRing
    meter: Meter
    clock: Clock
    chance: Chance
    transport: httpx2.AsyncBaseTransport | None = None  # None: dial `settings.auth_address`
