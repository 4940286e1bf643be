"""One HTTP/1.1 GET over a Unix socket or to loopback: all that asking our own processes for their state needs."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from msgspec import Struct

LIMIT = 8 * 1024 * 1024


class Answer(Struct, frozen=True):
    status: int
    body: bytes


async def get(address: str, target: str, *, seconds: float = 2.0) -> Answer:
    """`address`: "unix:/path" or "http://host:port". Raises OSError or TimeoutError when nobody answers in HTTP."""
    async with asyncio.timeout(seconds):
        reader, writer = await _connect(address)
        try:
            host = "localhost" if address.startswith("unix:") else urlsplit(address).netloc
            writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii"))
            return await _read(reader)
        except (ValueError, IndexError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as odd:
            raise OSError("the answer is no HTTP") from odd
        finally:
            writer.close()


async def reachable(address: str, *, seconds: float = 1.0) -> bool:
    """Does anything listen there? Nothing is asked of it."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await _connect(address)
    except (OSError, TimeoutError, ValueError):
        return False
    writer.close()
    return True


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    parts = urlsplit(address)
    host = parts.hostname or ""
    if host.endswith(".localhost"):  # glibc does not know these (flows §12)
        host = "127.0.0.1"
    return await asyncio.open_connection(host, parts.port or (443 if parts.scheme == "https" else 80))


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Answer(status, await _chunks(reader))
    if "content-length" in headers:
        length = int(headers["content-length"])
        _bound(length)
        return Answer(status, await reader.readexactly(length))
    return Answer(status, await reader.read(LIMIT))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";", 1)[0], 16)
        _bound(len(body) + size)
        if size == 0:
            return bytes(body)
        body += await reader.readexactly(size)
        await reader.readexactly(2)


def _bound(size: int) -> None:
    if size > LIMIT:
        raise ValueError("the answer is too long")
