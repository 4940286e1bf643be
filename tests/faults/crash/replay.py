"""A proxy before a node that delivers whole requests as networks and impatient clients do: twice, late, or swapped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path

from tests.faults.crash.chains import ask_raw
from tests.fixtures.wire import Answer


class Way(Enum):
    TWICE = "two copies at once; the client has the first answer"
    LATE = "a copy is kept, and delivered when all is over"
    SWAPPED = "of two requests the second one first"


class Replay:
    def __init__(self, door: Path, way: Way) -> None:
        self._door = door
        self._way = way
        self._kept: list[bytes] = []
        self._held: list[tuple[bytes, asyncio.Future[bytes]]] = []
        self.arrived: asyncio.Queue[None] = asyncio.Queue()
        self.unseen: list[Answer] = []  # what no client ever saw

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(await self._deliver(await _whole(reader)))
            await writer.drain()
        finally:
            writer.close()

    async def _deliver(self, request: bytes) -> bytes:
        match self._way:
            case Way.TWICE:
                copies = [asyncio.create_task(ask_raw(self._door, request)) for _ in range(2)]
                done, _ = await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
                first = next(copy for copy in copies if copy in done)
                other = next(copy for copy in copies if copy is not first)
                self.unseen.append((await other)[1])
                return first.result()[0]
            case Way.LATE:
                self._kept.append(request)
                return (await ask_raw(self._door, request))[0]
            case Way.SWAPPED:
                return await self._in_turn(request)

    async def _in_turn(self, request: bytes) -> bytes:
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._held.append((request, answered))
        self.arrived.put_nowait(None)
        if len(self._held) == 2:
            for held, future in reversed(self._held):
                future.set_result((await ask_raw(self._door, held))[0])
        return await answered

    async def deliver_kept(self) -> list[Answer]:
        return [(await ask_raw(self._door, request))[1] for request in self._kept]


@asynccontextmanager
async def replaying(door: Path, way: Way) -> AsyncIterator[tuple[Replay, Path]]:
    """Gives the proxy, and where it listens."""
    replay, place = Replay(door, way), door.with_name(f"replay-{door.name}")
    place.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(replay.serve, str(place))
    async with server:
        yield replay, place


async def _whole(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0]) if lengths else 0)
