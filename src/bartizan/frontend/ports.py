"""What the frontend server is handed (house rule 13): everything that touches the world outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from bartizan.frontend.way import Way
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
    way: Way  # to the auth server
