"""What monitoring is handed: the store for backlog and events, its own meter, a clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from bartizan.model.store import Store
from bartizan.monitoring.meter import PrometheusMeter


class MonitoringPorts(Struct, frozen=True, kw_only=True):
    meter: PrometheusMeter
    store: Store | None  # None: no backlog, no events (a monitoring process without the database)
    clock: Callable[[], datetime]
