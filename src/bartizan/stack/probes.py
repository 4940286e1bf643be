"""Is it ready? One small HTTP request over a Unix socket, without any HTTP library: the supervisor stays light."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bartizan.stack.child import Probe


def engine(ready: Callable[[], bool]) -> Probe:
    """An engine's own question: local, and answered in a millisecond."""

    async def probe() -> bool:
        return ready()

    return probe


def http(path: Path, target: str) -> Probe:
    """`GET target` on a socket is answered with 200."""

    async def probe() -> bool:
        reader, writer = await asyncio.open_unix_connection(str(path))
        try:
            writer.write(f"GET {target} HTTP/1.1\r\nHost: status\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            words = (await reader.readline()).split(b" ")
            return len(words) > 1 and words[1] == b"200"
        finally:
            writer.close()

    return probe


def place_of(url: str) -> str:
    """Where a store listens, without the secrets of its URL: "unix:/path" or "tcp://host:port"."""
    parts = urlsplit(url)
    database = parts.scheme.startswith("postgres")
    port = parts.port or (5432 if database else 6379)
    host = parts.hostname or parse_qs(parts.query).get("host", [""])[0]
    if parts.scheme.startswith("unix"):
        return f"unix:{parts.path}"
    if host.startswith("/"):
        return f"unix:{host}/.s.PGSQL.{port}"
    return f"tcp://{host or 'localhost'}:{port}"


def reachable(to: str) -> Callable[[], bool]:
    """Does what we did not start, the user's app or store, take a connection?"""

    def ask() -> bool:
        parts = urlsplit(to)
        try:
            if to.startswith("unix:"):
                with socket.socket(socket.AF_UNIX) as talk:
                    talk.settimeout(0.3)
                    talk.connect(to.removeprefix("unix:"))
            else:
                port = parts.port or (443 if parts.scheme == "https" else 80)
                socket.create_connection((parts.hostname or "", port), 0.3).close()
        except OSError:
            return False
        return True

    return ask
