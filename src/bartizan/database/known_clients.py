"""Clients as this process holds them (flows §7: a change counts everywhere within two seconds; decision 0015).

Whoever changes clients leaves a mark (migration 0005). While a reader sees the same marks, what it has read of clients
is as they are. So one small look a moment confirms all that are held, and nobody waits for it: it is taken while they
are still young enough to be used. Each statement that reads clients says the marks of its own snapshot.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

from bartizan.database.clock import counting
from bartizan.database.coalesce import Coalescer
from bartizan.model.clients import Client
from bartizan.protocol.refusal import Unavailable

LOOK_AFTER = 0.5  # seconds since what is held was known to be so: then one looks again, while the others go on
OLDEST = 1.5  # seconds: then nobody goes on without having looked
MOST = 20_000  # clients, some 40 MB: then the one that came first goes


class Seen(Struct, frozen=True):
    """Of one snapshot."""

    marks: str
    clients: Mapping[str, Client]


class KnownClients:
    def __init__(
        self, see: Callable[[Sequence[str]], Awaitable[Seen]], counting: Callable[[], float] = counting
    ) -> None:
        self._see = see
        self._counting = counting
        self._held: dict[str, Client] = {}
        self._marks: str | None = None
        self._true_at = -math.inf  # when a statement was asked for that saw these marks: what is held was so after that
        self._reads: Coalescer[str, Client | None] = Coalescer(self._read)
        self._look: asyncio.Task[None] | None = None

    async def by_id(self, client_id: str) -> Client | None:
        """Nobody is held as absent: a client that was just made is known at once."""
        held = self._held.get(client_id)
        age = self._counting() - self._true_at
        if held is None or age >= OLDEST:
            return await self._reads.ask(client_id)
        if age >= LOOK_AFTER and (self._look is None or self._look.done()):
            self._look = asyncio.create_task(self._look_again())
        return held

    async def close(self) -> None:
        if self._look is not None:
            self._look.cancel()
            await asyncio.wait({self._look})

    async def _read(self, ids: Sequence[str]) -> list[Client | None]:
        """Who waited for the one before is answered by what that has confirmed."""
        young = self._counting() - self._true_at < OLDEST
        known = {one: self._held[one] for one in ids if young and one in self._held}
        rest = [*{one for one in ids if one not in known}]
        if rest:
            known |= await self._learn(rest)
        return [known.get(one) for one in ids]

    async def _look_again(self) -> None:
        with suppress(Unavailable):  # in a second, who then finds it too old is told
            await self._learn([])

    async def _learn(self, ids: Sequence[str]) -> Mapping[str, Client]:
        asked_at = self._counting()
        seen = await self._see(ids)
        if seen.marks == self._marks:
            self._true_at = max(self._true_at, asked_at)
            self._hold(seen.clients)
        elif asked_at >= self._true_at:
            self._marks, self._true_at = seen.marks, asked_at
            self._held.clear()
            self._hold(seen.clients)
        return seen.clients  # else another has seen more meanwhile: good enough for who asked, not to be held

    def _hold(self, clients: Mapping[str, Client]) -> None:
        self._held |= clients
        while len(self._held) > MOST:
            del self._held[next(iter(self._held))]
