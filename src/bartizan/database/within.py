"""What a record is handed: one use of one connection, and what it needs besides."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from bartizan.database.connection import Chance, Connection
from bartizan.database.daykeys import DayKeys
from bartizan.database.settings import DatabaseSettings


class Within(Struct, frozen=True):
    connection: Connection
    settings: DatabaseSettings
    days: DayKeys
    chance: Chance
    clock: Callable[[], datetime]  # the database's, as `clock.py` counts on


class Opens(Protocol):
    """A connection for a while, in a transaction or not: `PostgresStore.within`."""

    def __call__(self, *, transaction: bool) -> AbstractAsyncContextManager[Within]: ...
