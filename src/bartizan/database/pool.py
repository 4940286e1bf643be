"""Connections to PostgreSQL, lent one by one (decision 0014: why not asyncpg's own pool).

Nothing is opened before it is wanted, and never more than `size` are open or opening. Who finds none waits in turn, for
a turn and a connection together no longer than `patience`. What comes back whole is lent again, the last one first;
what was cut short or left in a transaction is closed instead, and the server rolls it back. When one turns out lost,
all from before that are suspect: a server that went, went for each of them. What nobody took for a while is closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from asyncpg.exceptions import InterfaceError, InternalClientError, PostgresError

from bartizan.database.connection import Connection
from bartizan.protocol.refusal import Unavailable

RESTS = 120.0  # seconds; what was not taken between two looks, so for two to four minutes, is beyond need
_CLOSING = 10.0  # seconds that closing waits for what is still lent
_GOING = (InterfaceError, InternalClientError, PostgresError, OSError)  # a farewell that failed; TimeoutError is one


class Pool:
    """For one event loop. `losses`: how often one turned out lost that was not suspect already."""

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], *, size: int, patience: float, rests: float = RESTS
    ) -> None:
        self._connect = connect
        self._size = size
        self._patience = patience
        self._rests = rests
        self._room = size  # turns that nobody has
        self._waiting: deque[asyncio.Future[None]] = deque()  # for a turn; only while there is no room
        self._idle: list[Connection] = []
        self._untouched = 0  # so many of them, at the bottom, have lain there since the last look
        self._trusted: set[Connection] = set()  # opened since the last loss, lent or idle
        self._parting: set[asyncio.Task[None]] = set()
        self._looking: asyncio.TimerHandle | None = None
        self._closed = False
        self.losses = 0

    async def acquire(self) -> Connection:
        """To be given back by `release`. TimeoutError when patience is at an end; what `connect` raises, else."""
        if self._closed:
            raise Unavailable("database")
        if self._room:
            found = self._take()
            if found is not None:
                self._room -= 1
                return found
        async with asyncio.timeout(self._patience):
            await self._turn()
            try:
                if self._closed:
                    raise Unavailable("database")
                return self._take() or await self._open()
            except BaseException:
                self._pass_on()
                raise

    def release(self, connection: Connection, *, cut: bool = False) -> None:
        """`cut`: it was left in the middle of something, as by a cancellation. Waits for nothing."""
        if connection.is_closed():
            if connection in self._trusted:
                self._lost()
            connection.terminate()
        elif cut or connection.is_in_transaction():
            self._trusted.discard(connection)
            parting = asyncio.create_task(self._part(connection))  # and keeps its turn until it has gone
            self._parting.add(parting)
            parting.add_done_callback(self._parting.discard)
            return
        elif connection in self._trusted and not self._closed:
            self._idle.append(connection)
        else:
            self._end(connection)
        self._pass_on()

    async def close(self) -> None:
        """Lends no more, and waits for what is lent; but not for ever."""
        if self._closed:
            return
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING):
                    for _ in range(self._size):
                        await self._turn()
            idle, self._idle = self._idle, []
            farewells = (connection.close(timeout=self._patience) for connection in idle)
            await asyncio.gather(*farewells, return_exceptions=True)
        finally:
            for connection in [*self._trusted]:
                self._end(connection)

    async def _turn(self) -> None:
        if self._room:
            self._room -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it came in the very moment of giving up
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """The turn goes to who has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._room += 1

    def _take(self) -> Connection | None:
        if not self._idle:
            return None
        connection = self._idle.pop()
        if len(self._idle) < self._untouched:
            self._untouched = len(self._idle)
        if connection.is_closed():
            self._lost()
            connection.terminate()
            return None
        return connection

    async def _open(self) -> Connection:
        losses = self.losses
        connection = await self._connect()
        if losses == self.losses:
            self._trusted.add(connection)
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(self._rests, self.look)
        return connection

    def look(self) -> None:
        """Every `rests` seconds, as long as there are any."""
        beyond = self._idle[: self._untouched]
        del self._idle[: self._untouched]
        for connection in beyond:
            self._end(connection)
        self._untouched = len(self._idle)
        again = self._trusted and not self._closed
        self._looking = asyncio.get_running_loop().call_later(self._rests, self.look) if again else None

    def _lost(self) -> None:
        """Those that are lent will end when they come back, and are no further loss."""
        self.losses += 1
        self._trusted.clear()
        suspect, self._idle, self._untouched = self._idle, [], 0
        for connection in suspect:
            connection.terminate()

    def _end(self, connection: Connection) -> None:
        self._trusted.discard(connection)
        connection.terminate()

    async def _part(self, connection: Connection) -> None:
        """The server is asked to leave off what is under way, and that is waited for; a silent one is cut off."""
        try:
            with suppress(*_GOING):
                await connection.close(timeout=self._patience)
        finally:
            self._pass_on()
