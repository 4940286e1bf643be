"""Flows §6: a family is judged for one presenter after the other, as far as one process sees it.

Each of fifty tabs that lost the race would take a connection and wait at the family's row; so they take one between
them, and leave the others to everybody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from bartizan.protocol.refusal import Unavailable

PATIENCE = 4.0  # seconds for all who came before: two statements that wait for their locks


class Turns:
    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._held: dict[UUID, asyncio.Lock] = {}  # of families that are being asked for
        self._asking: dict[UUID, int] = {}

    @asynccontextmanager
    async def of(self, family_id: UUID) -> AsyncIterator[None]:
        """First come, first served (asyncio's lock is fair). Raises Unavailable when those before take too long."""
        lock = self._held.setdefault(family_id, asyncio.Lock())
        self._asking[family_id] = self._asking.get(family_id, 0) + 1
        try:
            await self._wait(lock)
            try:
                yield
            finally:
                lock.release()
        finally:
            self._asking[family_id] -= 1
            if not self._asking[family_id]:
                del self._asking[family_id], self._held[family_id]

    async def _wait(self, lock: asyncio.Lock) -> None:
        if not lock.locked():  # nobody is before: no deadline to set up
            await lock.acquire()
            return
        try:
            async with asyncio.timeout(self._patience):
                await lock.acquire()
        except TimeoutError:
            raise Unavailable("database", 1) from None
