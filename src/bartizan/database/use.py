"""One use of one connection, as `PostgresStore.within` gives it; every loss of the server in it is `Unavailable`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

from bartizan.database.clock import DatabaseClock
from bartizan.database.connection import Connection, kept_silent, told_when_away
from bartizan.database.pool import Pool
from bartizan.database.within import Within


class Use:
    """What `within` gives: a connection lent, told of the time, and given back whatever happens.

    A class, as generators for context managers cost a refresh more than its own socket does (decision 0014).
    """

    __slots__ = ("_clock", "_connection", "_handed", "_in_transaction", "_pool", "_transaction")

    def __init__(
        self, pool: Pool, clock: DatabaseClock, handed: Callable[[Connection], Within], in_transaction: bool
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._handed = handed
        self._in_transaction = in_transaction
        self._transaction: AbstractAsyncContextManager[Any] | None = None

    async def __aenter__(self) -> Within:
        try:
            connection = self._connection = await self._pool.acquire()
        except Exception as error:
            told = told_when_away(error)
            if told is None:
                raise
            raise told from error
        try:
            await self._clock.learn(connection)
            if self._in_transaction:
                self._transaction = connection.transaction()
                await self._transaction.__aenter__()
        except BaseException as error:
            self._give_back(error, cut=True)
            raise
        return self._handed(connection)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transaction is not None:
            if kept_silent(error):
                self._connection.terminate()  # nobody waits for the rollback of a connection that is cut
            try:
                await self._transaction.__aexit__(kind, error, trace)
            except BaseException as failed:
                self._give_back(failed, cut=True)
                raise
        self._give_back(error, cut=error is not None and not isinstance(error, Exception))

    def _give_back(self, error: BaseException | None, *, cut: bool) -> None:
        """Raises what a loss of the database is told as."""
        told = None if error is None else told_when_away(error, self._connection)
        self._pool.release(self._connection, cut=cut)
        if told is not None:
            raise told from error
