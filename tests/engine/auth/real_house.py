"""The auth server over the real PostgreSQL: the same person, clients and walks as the in-memory house of the unit
tests, but real time, real chance and a browser each."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID, uuid4

from tests.fixtures.records import AGED
from tests.unit.auth.house import AGENT, BFF, FORM, PHONE, PRINT_SHOP, RING, SETTINGS, USER, House, basic, ports
from tests.unit.web.calling import Answer, calling

from bartizan.auth import app
from bartizan.database.settings import DatabaseSettings
from bartizan.database.store import connect
from bartizan.model.clients import Client, Consent
from bartizan.model.store import Records

T = TypeVar("T")


def now() -> datetime:
    return datetime.now(UTC)


class RealHouse(House):
    def __init__(
        self, url: str, **settings: Any
    ) -> None:  # another store and another clock, so nothing of the parent's is wanted
        self.url = url
        self.loop = asyncio.new_event_loop()
        self.real = self.loop.run_until_complete(connect(DatabaseSettings(url=url, **settings), RING))
        self.clock = now  # type: ignore[assignment]  # time cannot be turned here
        self.settings = SETTINGS
        self.ports = ports(self.real, now, os.urandom)
        self.app = app.build(SETTINGS, self.ports)
        self.cookies = {}

    def __exit__(self, *_: object) -> None:
        self.loop.run_until_complete(self.real.close())
        self.loop.close()

    def furnish(self) -> None:
        async def add(records: Records) -> None:
            await records.users.add(USER, "hash")
            for client in (BFF, PRINT_SHOP, PHONE, AGENT):
                await records.clients.add(client)

        self.within(add)

    def within(self, work: Callable[[Records], Awaitable[T]]) -> T:
        async def run() -> T:
            async with self.real.transaction() as records:
                return await work(records)

        return self.loop.run_until_complete(run())

    def consent(self, client: Client, scopes: tuple[str, ...] | None = None) -> None:
        consent = Consent(
            id=uuid4(),
            user_id=USER.id,
            client_id=client.id,
            scopes=client.scopes if scopes is None else scopes,
            granted_at=now(),
            until=None,
            last_used_at=None,
        )

        async def grant(records: Records) -> None:
            await records.consents.grant(consent)

        self.within(grant)

    def events(self) -> list[str]:
        async def read(records: Records) -> list[str]:
            return [event.code for event in await records.events.latest(limit=100)]

        return self.within(read)

    def age(self, gid: str) -> None:
        """What this family has rotated lies past the grace."""

        async def shift() -> None:
            async with self.real.within(transaction=False) as handed:
                await handed.connection.execute(AGED, UUID(gid))

        self.loop.run_until_complete(shift())

    def at_once(self, client: Client, form: dict[str, str], times: int) -> list[Answer]:
        """The same request to /token, so many times in the same instant."""
        headers = {"content-type": FORM, "authorization": basic(client.id, self.secret_of(client))}
        body = urlencode(form).encode()

        async def all_together() -> list[Answer]:
            calls = (calling(self.app, "POST", "/token", headers=headers, body=body) for _ in range(times))
            return list(await asyncio.gather(*calls))

        return self.loop.run_until_complete(all_together())
