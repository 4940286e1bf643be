"""As many database connections as the product has, handed out without a word to the server in between."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

SIZE = 8


class Connections:
    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._free: asyncio.LifoQueue[Any] = asyncio.LifoQueue()

    async def open(self, url: str) -> None:
        for _ in range(self._size):
            made = await asyncpg.connect(url, server_settings={"jit": "off"})  # type: ignore[no-untyped-call] # it has no types
            await self._free.put(made)

    async def fetch(self, query: str, *args: object) -> list[Any]:
        connection = await self._free.get()
        try:
            rows: list[Any] = await connection.fetch(query, *args)
        finally:
            self._free.put_nowait(connection)
        return rows

    async def fetchrow(self, query: str, *args: object) -> Any:
        connection = await self._free.get()
        try:
            return await connection.fetchrow(query, *args)
        finally:
            self._free.put_nowait(connection)
