"""The connection as the records see it, and which errors mean "the database is away"."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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
    async def executemany(self, query: str, args: Iterable[Sequence[object]]) -> None: ...
    async def fetchmany(self, query: str, args: Iterable[Sequence[object]]) -> list[Row]: ...
    def transaction(self) -> AbstractAsyncContextManager[Any]: ...
    def is_closed(self) -> bool: ...
    def terminate(self) -> None: ...


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
)


class Beaten(Unavailable):
    """A deadlock or a serialization failure, rolled back by the server: tried again, it may well go through."""


@asynccontextmanager
async def told_when_away(connection: Connection | None = None) -> AsyncIterator[None]:
    """Turns the loss of the database into `Unavailable`, and nothing else."""
    try:
        yield
    except asyncpg.TransactionRollbackError as beaten:
        raise Beaten("database", 1) from beaten
    except AWAY as lost:
        raise Unavailable("database") from lost
    except InterfaceError as error:
        # asyncpg says so both of a closed connection and of a programmer's mistake.
        if connection is not None and _is_gone(connection):
            raise Unavailable("database") from error
        raise
    except TimeoutError as error:
        # Our own deadline, which lies behind the server's: it says nothing any more, and this connection never will.
        if connection is not None:
            connection.terminate()
        raise Unavailable("database") from error
    except OSError as error:
        if connection is None or _is_gone(connection):
            raise Unavailable("database") from error
        raise


@asynccontextmanager
async def cut_when_silent(connection: Connection) -> AsyncIterator[None]:
    """For what runs in a transaction: nobody waits for the rollback of a connection that is cut; the server does it."""
    try:
        yield
    except TimeoutError:
        connection.terminate()
        raise


def _is_gone(connection: Connection) -> bool:
    """A lost connection goes back to the pool by itself, and then will not even be asked."""
    try:
        return connection.is_closed()
    except InterfaceError:
        return True
