"""Who makes a code by a consent holds the consent first; who deletes its client or person takes them in that order too.

Else the database would have to choose between them, after a second, and one of them would be told to come again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from tests.fixtures.records import a_client, a_code, a_consent, a_user, now, within

from bartizan.database.store import PostgresStore
from bartizan.model.clients import Client
from bartizan.model.codes import Interaction
from bartizan.model.event import Event
from bartizan.model.users import User

pytestmark = pytest.mark.engine

ISSUERS, INTERACTIONS, PEOPLE = 6, 240, 12


async def _planted(store: PostgresStore, shop: Client, people: list[User]) -> list[Interaction]:
    ends = now() + timedelta(hours=1)
    interactions = [
        Interaction(id=uuid4(), request=b"x", client_id=shop.id, created_at=now(), expires_at=ends)
        for _ in range(INTERACTIONS)
    ]
    async with store.transaction() as records:
        await records.clients.add(shop)
        for user in people:
            await records.users.add(user, None)
            await records.consents.grant(a_consent(user, shop))
        for place, one in enumerate(interactions):
            await records.interactions.add(uuid4().bytes * 2, one)
            await records.interactions.set_user(one.id, people[place % PEOPLE].id)
    return interactions


@pytest.mark.parametrize("deleted", ["client", "people"])
def test_nobody_is_beaten_where_codes_are_made_and_their_client_or_people_deleted(
    empty_database_url: str, deleted: str
) -> None:
    seen: Counter[str] = Counter()

    async def work(store: PostgresStore) -> None:
        for number in range(3):
            shop = a_client(id=f"shop{number}")
            people = [a_user(email=f"{number}-{one}@example.com") for one in range(PEOPLE)]
            interactions = await _planted(store, shop, people)
            begun = asyncio.Event()

            async def issue(mine: list[Interaction], shop: Client, people: list[User], begun: asyncio.Event) -> None:
                for place, one in enumerate(mine):
                    user = people[place % PEOPLE]
                    code = a_code(user, shop)
                    done = await store.redemptions.issue(
                        uuid4().bytes * 2, code, Event(code="code.issued"), by_consent=True, ends=one.id
                    )
                    seen["made" if done else "refused"] += 1
                    if place == 4:
                        begun.set()

            async def delete(shop: Client, people: list[User], begun: asyncio.Event) -> None:
                await begun.wait()
                if deleted == "client":
                    async with store.transaction() as records:
                        assert await records.clients.delete(shop.id)
                    return
                for user in people:
                    async with store.transaction() as records:
                        await records.users.delete(user.id)

            await asyncio.gather(
                delete(shop, people, begun),
                *(issue(interactions[one::ISSUERS], shop, people, begun) for one in range(ISSUERS)),
            )

    within(empty_database_url, work)
    assert seen["made"] > 0
    assert seen["refused"] > 0, "the deleting came in between"
