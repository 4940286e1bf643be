"""What one copy of the stack has written down: every row, every cache key, every file but the database's own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

import asyncpg
import valkey
from tests.faults.stores.held import claims
from tests.fixtures.records import AGED

from bartizan.database import purge as database_purge
from bartizan.stack import compile as compiled
from bartizan.stack import logs
from bartizan.stack.instance import opened

T = TypeVar("T")


def _run(work: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own: Playwright's loop runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@dataclass(frozen=True)
class AtRest:
    data: Path

    def everything(self) -> dict[str, str]:
        """Place → its text."""
        return {**_run(self._rows()), **self._cache(), **self._files()}

    def count(self, statement: str) -> int:
        async def ask() -> int:
            async with opened(self.data, None) as instance:
                line = await asyncpg.connect(compiled.database(instance.at).url)  # type: ignore[no-untyped-call] # asyncpg has none
                try:
                    return int(await line.fetchval(statement))
                finally:
                    await line.close()

        return _run(ask())

    def age(self, access_token: str) -> None:
        """As if all that its family has done lay past every grace (flows §6): nobody has to wait for that."""

        async def run() -> None:
            async with opened(self.data, None) as instance, instance.store.within(transaction=False) as handed:
                assert await handed.connection.execute(AGED, UUID(str(claims(access_token)["gid"]))) == "UPDATE 1"

        _run(run())

    def purge(self, *, days: int) -> None:
        """The purge as the worker runs it, on a clock that is `days` ahead."""

        async def run() -> None:
            async with opened(self.data, None) as instance:
                await database_purge.purge(instance.store, datetime.now(UTC) + timedelta(days=days))

        _run(run())
        logs.forget(self.data / "logs", 30 * 86_400, now=datetime.now(UTC).timestamp() + days * 86_400)

    async def _rows(self) -> dict[str, str]:
        found = {}
        async with opened(self.data, None) as instance:
            line = await asyncpg.connect(compiled.database(instance.at).url)  # type: ignore[no-untyped-call] # asyncpg has none
            try:
                tables = await line.fetch(
                    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
                )
                for (table,) in tables:
                    rows = await line.fetch(f'SELECT t::text FROM "{table}" t')
                    found[f"table {table}"] = "\n".join(row[0] for row in rows)
            finally:
                await line.close()
        return found

    def _cache(self) -> dict[str, str]:
        async def url() -> str:
            async with opened(self.data, None) as instance:
                return compiled.cache_url(instance.at)

        line: Any = valkey.Valkey(unix_socket_path=_run(url()).removeprefix("unix://").partition("?")[0])
        try:
            text = []
            for key in line.scan_iter():
                dumped = cast(bytes, line.dump(key) or b"")
                text.append(f"{key!r} {dumped!r}")
            return {"cache": "\n".join(text)}
        finally:
            line.close()

    def _files(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.data)): path.read_bytes().decode("latin-1")
            for path in self.data.rglob("*")
            if path.is_file() and "postgres" not in path.relative_to(self.data).parts and path.suffix != ".jpg"
        }
