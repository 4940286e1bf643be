"""Codes issued and redeemed by one statement each: what it does as a whole, and how the server goes about it."""

from __future__ import annotations

import asyncio
import os

import pytest
from tests.fixtures.records import a_client, a_code, a_consent, a_session, a_user, an_interaction, within

from bartizan.database.codes import READ, REDEEM
from bartizan.database.store import PostgresStore
from bartizan.model.clients import Client
from bartizan.model.codes import Interaction
from bartizan.model.event import Event
from bartizan.model.sessions import Session
from bartizan.model.users import User

pytestmark = pytest.mark.engine


async def _under_way(store: PostgresStore) -> tuple[User, Client, Session, Interaction]:
    """Somebody who is signed in, and their interaction with an app, which is not stored."""
    user, client = a_user(), a_client()
    session, interaction = a_session(user), an_interaction(client)
    async with store.transaction() as records:
        await records.users.add(user, None)
        await records.sessions.add(session, os.urandom(32))
        await records.interactions.add(os.urandom(32), interaction)
    return user, client, session, interaction


def test_of_one_interaction_comes_one_code_and_one_event(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user, client, session, interaction = await _under_way(store)
        fingerprints = [os.urandom(32) for _ in range(6)]
        code, said = a_code(user, client, session_id=session.id), Event(code="code.issued", session_id=session.id)
        tries = (
            store.redemptions.issue(one, code, said, by_consent=False, ends=interaction.id) for one in fingerprints
        )
        issued = await asyncio.gather(*tries)
        assert sorted(issued) == [False] * 5 + [True]
        seen = [await store.redemptions.see(one) for one in fingerprints]
        assert [found is not None for found in seen] == issued
        assert seen[issued.index(True)] == (code, user)
        async with store.reading() as records:
            told = [event for event in await records.events.latest(limit=50) if event.session_id == session.id]
            assert [event.code for event in told] == ["code.issued"]

    within(database_url, work)


@pytest.mark.parametrize("stored", [False, True], ids=["at once", "of an interaction"])
@pytest.mark.parametrize("first", ["the code", "the withdrawal"])
def test_no_code_outlives_the_consent_that_it_came_of(database_url: str, first: str, stored: bool) -> None:
    """The consent was seen a moment ago; whoever is first, nothing can be bought when it is withdrawn."""

    async def work(store: PostgresStore) -> None:
        user, client, session, interaction = await _under_way(store)
        async with store.transaction() as records:
            await records.clients.add(client)
            await records.consents.grant(a_consent(user, client))
        fingerprint, code = os.urandom(32), a_code(user, client, session_id=session.id)
        said, ends = Event(code="code.issued", session_id=session.id), interaction.id if stored else None

        async def issue() -> bool:
            return await store.redemptions.issue(fingerprint, code, said, by_consent=True, ends=ends)

        if first == "the code":
            assert await issue()
            assert await store.redemptions.see(fingerprint) is not None
        async with store.transaction() as records:
            await records.consents.withdraw(user.id, client.id)
            issuing = asyncio.create_task(issue()) if first == "the withdrawal" else None
            await asyncio.sleep(0.05)  # so that it meets the withdrawal before that is committed, where it can
        assert issuing is None or not await issuing
        assert await store.redemptions.see(fingerprint) is None
        async with store.transaction() as records:
            assert await records.interactions.finish(interaction.id) is not (first == "the code" and stored)

    within(database_url, work)


def test_a_batch_looks_each_code_up_by_its_key_however_small_the_tables_were(empty_database_url: str) -> None:
    """A plan is kept: one made in a new database must do for a large one, until that is analysed."""

    async def work(store: PostgresStore) -> None:
        async with store.within(transaction=True) as handed:
            run = handed.connection.execute
            await run("SET LOCAL plan_cache_mode = force_generic_plan")
            await run(f"PREPARE seeing (bytea[]) AS {READ}")
            await run(f"PREPARE redeeming (bytea[], int[], int[], json, json) AS {REDEEM}")
            for asked in ("seeing('{}')", "redeeming('{}', '{}', '{}', '[]', '[]')"):
                plan = [row["QUERY PLAN"] for row in await handed.connection.fetch(f"EXPLAIN EXECUTE {asked}")]
                assert any("Index Scan using codes_pkey" in line for line in plan)
                assert [line for line in plan if "Seq Scan" in line] == []
            await run("DEALLOCATE seeing")
            await run("DEALLOCATE redeeming")

    within(empty_database_url, work)
