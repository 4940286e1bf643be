"""The connection as the records see it, and which errors mean "the database is away"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from traceback import walk_tb
from typing import Any, Protocol

import asyncpg
from asyncpg.exceptions import InterfaceError, InternalClientError

from bartizan.protocol.refusal import Unavailable

Chance = Callable[[int], bytes]
Row = Mapping[str, Any]


class Connection(Protocol):
    """asyncpg's, which carries no types."""

    async def fetch(self, query: str, *args: object) -> list[Row]: ...
    async def fetchrow(self, query: str, *args: object, timeout: float | None = None) -> Row | None: ...  # noqa: ASYNC109 - its own name
    async def fetchval(self, query: str, *args: object) -> Any: ...
    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str: ...  # noqa: ASYNC109 - its own name
    def transaction(self) -> AbstractAsyncContextManager[Any]: ...
    def is_closed(self) -> bool: ...
    def is_in_transaction(self) -> bool: ...
    def terminate(self) -> None: ...
    async def close(self, *, timeout: float | None = None) -> None: ...  # noqa: ASYNC109 - its own name


# Lost, starting, stopping, full, or too slow: the caller answers 503 and tries again.
AWAY: tuple[type[BaseException], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.OperatorInterventionError,  # shutdown, crash of another session, cancelled for its length
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.PostgresIOError,
    InternalClientError,  # the server's farewell came while the connection lay idle, and it is used before it is closed
    asyncpg.InvalidCachedStatementError,  # the schema was changed under a prepared statement
)
# As good as closed, and so are all that lie idle.
_SPENT = (asyncpg.PostgresConnectionError, InternalClientError, asyncpg.InvalidCachedStatementError)


class Beaten(Unavailable):
    """A deadlock or a serialization failure, rolled back by the server: tried again, it may well go through."""


def kept_silent(error: BaseException | None) -> bool:
    """Our own deadline for a statement, which lies behind the server's: it says nothing any more, and this connection
    never will. A TimeoutError names nobody, and what else a transaction does may be late too: so who was waited for."""
    if not isinstance(error, TimeoutError):
        return False
    return any(str(frame.f_globals.get("__name__")).startswith("asyncpg.") for frame, _ in walk_tb(error.__traceback__))


def told_when_away(error: BaseException, connection: Connection | None = None) -> Unavailable | None:
    """What the loss of the database is told as, and None for anything else. Without a connection: there was none yet.

    A function that `store.py` calls where it catches, and no context manager: those cost more than the pool does.
    """
    if isinstance(error, asyncpg.TransactionRollbackError):
        return Beaten("database", 1)
    if connection is None and isinstance(error, TimeoutError):
        return Unavailable("database")  # none came in time
    if kept_silent(error):
        if connection is not None:
            connection.terminate()
        return Unavailable("database")
    if isinstance(error, AWAY):
        if connection is not None and isinstance(error, _SPENT):
            connection.terminate()  # for the pool to see it at once
        return Unavailable("database")
    if isinstance(error, (InterfaceError, OSError)):
        # asyncpg's InterfaceError says both that a connection is closed and that a programmer made a mistake.
        gone = isinstance(error, OSError) if connection is None else connection.is_closed()
        return Unavailable("database") if gone else None
    return None
