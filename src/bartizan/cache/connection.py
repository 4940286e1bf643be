"""One client of Valkey: short deadlines, no command sent twice, and "away" said in one way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from limits.errors import StorageError
from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import ConnectionError as LostConnection
from valkey.exceptions import TimeoutError as LateAnswer
from valkey.exceptions import ValkeyError

from bartizan.cache.settings import CacheSettings
from bartizan.protocol.refusal import Unavailable


def pool(settings: CacheSettings) -> Any:
    """A dead connection is replaced at its next use; so a restarted server is found by itself."""
    return BlockingConnectionPool.from_url(
        settings.url,
        max_connections=settings.connections,
        timeout=settings.seconds,
        socket_timeout=settings.seconds,
        socket_connect_timeout=settings.seconds,
        # A connection that died while idle is tried once more; a count may then be one too high, never too low.
        retry=Retry(NoBackoff(), 1),
        retry_on_error=[LostConnection],
    )


def client(pool: Any) -> Any:
    return Valkey(connection_pool=pool)


@contextmanager
def told_when_away() -> Iterator[None]:
    """Any failure of Valkey, full memory included, is `Unavailable`: the caller decides, nothing fails open."""
    try:
        yield
    except (TimeoutError, LostConnection, LateAnswer, ValkeyError, StorageError, OSError) as lost:
        raise Unavailable("cache") from lost
