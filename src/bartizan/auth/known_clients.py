"""Clients as this process holds them: no older than a second, as the signing keys (F§7: two seconds everywhere).

A client that was disabled a moment ago has lost its families in the same transaction; what it can still get in that
second is a token of its own by client_credentials.
"""

from __future__ import annotations

from datetime import datetime

from bartizan.auth.ports import Clock
from bartizan.model.clients import Client
from bartizan.model.store import Store

FRESH_SECONDS = 1.0
MOST = 20_000  # then all are forgotten and asked for again


class KnownClients:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._held: dict[str, tuple[Client, datetime]] = {}

    async def by_id(self, client_id: str) -> Client | None:
        """Nobody is held as absent: a client that was just made is known at once."""
        now = self._clock()
        held = self._held.get(client_id)
        if held is not None and 0 <= (now - held[1]).total_seconds() < FRESH_SECONDS:
            return held[0]
        client = await self._store.lookups.client(client_id)
        self._held.pop(client_id, None)
        if client is not None:
            if len(self._held) >= MOST:
                self._held.clear()
            self._held[client_id] = (client, now)
        return client
