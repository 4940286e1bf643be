"""Limits (design §3): exact moving windows in Valkey, any number of them in one command (decision 0017).

The script has the server's time, so nodes whose clocks differ count alike; a list holds no more times than its limit
allows. Keys are hashed here: no address and no identifier is in Valkey.

When Valkey is away this raises Unavailable, so that the caller decides (sign-in counts in PostgreSQL instead).
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from valkey.asyncio import Valkey
from valkey.exceptions import NoScriptError, ValkeyError

from bartizan.cache.connection import Line
from bartizan.model.limit import Taken, Try
from bartizan.protocol.secrets import Ring, mac

# The newest key only: counts are short-lived, and start anew when the ring rotates.
PURPOSE = "limits"
# Another name than before decision 0017, when such a list held seconds. In braces, so that a cluster keeps all of them
# in one slot, as one command needs.
_NAMES = "bz:{limit/us}/"
_MICRO = 1_000_000


class ValkeyLimits:
    def __init__(self, pool: Any, line: Line, ring: Ring) -> None:
        self._key = ring.newest[1]
        self._valkey: Any = Valkey(connection_pool=pool)  # its types are those of the client that does not wait, too
        self._line = line

    async def take(self, *tries: Try) -> tuple[Taken, ...]:
        keys = [self._hashed(one.what, one.who) for one in tries]
        amounts = [number for one in tries for number in (one.limit.amount, one.limit.seconds)]
        with self._line.told_when_away():
            return _told(await self._run(len(keys), *keys, *amounts), len(tries))

    async def clear(self, what: str, who: str) -> None:
        """Whatever limit it was counted for: the rule's name and the counted are the key."""
        with self._line.told_when_away():
            await self._valkey.delete(self._hashed(what, who))

    async def _run(self, *words: str | int) -> object:
        """By its digest. A server that does not know it (new, or flushed) is told the whole, and keeps it."""
        source, digest = _script()
        try:
            return await self._valkey.evalsha(digest, *words)
        except NoScriptError:
            return await self._valkey.eval(source, *words)

    def _hashed(self, what: str, who: str) -> str:
        return _NAMES + mac(self._key, what.encode(), who.encode()).hex()


def _told(reply: object, number: int) -> tuple[Taken, ...]:
    """An answer of another shape says nothing, so it does not say "allowed"."""
    numbers = [one for one in reply if isinstance(one, int)] if isinstance(reply, list) else []
    if len(numbers) != 2 * number:
        raise ValkeyError("the script was answered by something else")
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple(Taken(not wait, -(-wait // _MICRO), kept) for wait, kept in pairs)


@cache
def _script() -> tuple[str, str]:
    source = Path(__file__).with_suffix(".lua").read_text("ascii")
    return source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
