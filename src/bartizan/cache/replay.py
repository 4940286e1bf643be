"""The replay memory: yes once (design §6). One script on the server, so that it cannot be raced.

Loss of the memory must not accept replays: a value issued before the memory began is refused. It begins when its mark
is first written, which a restart or a flush takes away; issuers' clocks may run ahead of it by `LEEWAY` seconds.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

from bartizan.cache.connection import Line
from bartizan.protocol.secrets import Ring, mac

PURPOSE = "replay"
LEEWAY = 5
_BEGAN = "bz:replay/began"

_FIRST_TIME = """
local time = redis.call('TIME')
local began = redis.call('GET', KEYS[2])
if not began then
    began = time[1]
    redis.call('SET', KEYS[2], began)
end
if tonumber(ARGV[1]) - tonumber(ARGV[3]) < tonumber(began) then
    return 0
end
if redis.call('SET', KEYS[1], '', 'NX', 'EX', ARGV[2]) then
    return 1
end
return 0
"""


class ValkeyReplayMemory:
    def __init__(self, client: Any, line: Line, ring: Ring) -> None:
        self._client = client
        self._line = line
        self._key = ring.newest[1]
        self._script = client.register_script(_FIRST_TIME)

    async def begin(self) -> None:
        """Marks the beginning, so that it lies at the server's start and not at the first value."""
        with self._line.told_when_away():
            seconds, _ = await self._client.time()
            await self._client.set(_BEGAN, seconds, nx=True)

    async def first_time(self, kind: str, value: str, *, issued_at: int, ttl_seconds: int) -> bool:
        """`ttl_seconds` reaches at least to the end of the value's own life."""
        key = "bz:replay/" + urlsafe_b64encode(mac(self._key, kind.encode(), value.encode())).decode()
        with self._line.told_when_away():
            answer = await self._script(keys=[key, _BEGAN], args=[issued_at, ttl_seconds, LEEWAY])
        return bool(answer == 1)
