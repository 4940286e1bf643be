"""One client of Valkey: short deadlines, no command sent twice, and "away" said in one way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from valkey.asyncio import BlockingConnectionPool
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
        # Silence is not tried again: it costs whoever waits as long as the first time.
        retry=Retry(NoBackoff(), 1, supported_errors=(LostConnection,)),
        retry_on_error=[LostConnection],
    )


class Line:
    """Says "away" of a server that kept silent without asking it again, but for one caller in `REST` seconds.

    A server that is gone says so at once and is asked each time. One that was stopped, or sits behind a dead network,
    costs a deadline, and without this each sign-in paid it several times.
    """

    REST = 1.0
    AT_ONCE = 0.1  # seconds: a failure that took longer was silence, whatever name it has in the end

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silent_until = 0.0

    @contextmanager
    def told_when_away(self) -> Iterator[None]:
        """Any failure of Valkey, full memory included, is `Unavailable`: the caller decides, nothing fails open."""
        begun = self._clock()
        if begun < self._silent_until:
            raise Unavailable("cache")
        if self._silent_until:
            self._silent_until = begun + self.REST  # the others do not wait with this one
        try:
            yield
        except (TimeoutError, LostConnection, LateAnswer, ValkeyError, OSError) as lost:
            now = self._clock()
            self._silent_until = now + self.REST if now - begun > self.AT_ONCE else 0.0
            raise Unavailable("cache") from lost
        self._silent_until = 0.0
