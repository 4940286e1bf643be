"""A client that costs little: HTTP/1.1 over Unix sockets that are kept open, one request at a time on each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

_BROKEN = (OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


class NotSentError(Exception):
    """Nobody listened: it has not happened and will not."""


class Said(Struct, frozen=True):
    """`status` 0: the connection broke, or nothing came in time. It may have happened."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""


class Wire:
    """Of one caller to one socket."""

    def __init__(self, socket: Path, host: str = "id.localhost:8080") -> None:
        self._socket = str(socket)
        self._host = host
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        seconds: float = 30.0,
    ) -> Said:
        reader, writer = await self._open()
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"{method} {path} HTTP/1.1\r\nhost: {self._host}\r\n{lines}content-length: {len(body)}\r\n\r\n"
        try:
            writer.write(head.encode() + body)
            async with asyncio.timeout(seconds):
                said = await _read(reader)
        except (*_BROKEN, TimeoutError):
            self.close()
            return Said(0)
        if said.headers.get("connection") == "close":
            self.close()
        return said

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and not self._streams[0].at_eof():
            return self._streams
        self.close()
        try:
            self._streams = await asyncio.open_unix_connection(self._socket)
        except OSError as error:
            raise NotSentError from error
        return self._streams

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read(reader: asyncio.StreamReader) -> Said:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    length = int(headers.get("content-length", "0"))
    return Said(int(first.split(" ")[1]), headers, await reader.readexactly(length) if length else b"")
