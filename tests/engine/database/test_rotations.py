"""Flows §6 on a real server: one row moves on, alone or among many; its rotation is HOT, and so it stays one row."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests.engine.database.rotating import IDLE, go_on, is_listed, present, started
from tests.fixtures.records import (
    a_beginning,
    a_client,
    a_code,
    a_consent,
    a_family,
    a_session,
    a_user,
    add_code,
    add_family,
    now,
    within,
)

from bartizan.database.store import PostgresStore
from bartizan.model.event import Event
from bartizan.model.families import Outcome

pytestmark = pytest.mark.engine


def test_rotation_moves_one_row_on(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        family = await started(store)
        answer = await present(store, family, 1)
        assert answer.outcome is Outcome.ROTATED
        assert answer.family is not None
        assert (answer.family.generation, answer.family.key_id) == (2, "testkey2")
        assert answer.family.rotated_at == answer.now
        assert answer.family.idle_until == answer.now + timedelta(seconds=IDLE)
        assert (await present(store, family, 2)).outcome is Outcome.ROTATED

    within(database_url, work)


def test_fifty_at_once_rotate_once_and_all_get_the_same_successor(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        family = await started(store, bff=True)
        answers = await asyncio.gather(*(present(store, family, 1) for _ in range(50)))
        outcomes = [answer.outcome for answer in answers]
        assert outcomes.count(Outcome.ROTATED) == 1
        assert outcomes.count(Outcome.GRACE) == 49
        assert {answer.family.generation for answer in answers if answer.family} == {2}
        assert (await present(store, family, 2)).outcome is Outcome.ROTATED

    within(database_url, work, acquire_seconds=30)


def test_many_families_at_once_share_statements_and_none_gets_anothers_answer(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        families = [await started(store, bff=True) for _ in range(60)]
        for generation in range(1, 6):
            asked = [family for family in families for _ in range(3)]
            answers = await asyncio.gather(*(present(store, family, generation) for family in asked))
            for family, answer in zip(asked, answers, strict=True):
                assert answer.outcome in (Outcome.ROTATED, Outcome.GRACE)
                assert answer.family is not None
                assert (answer.family.id, answer.family.generation) == (family.id, generation + 1)
            assert [answer.outcome for answer in answers].count(Outcome.ROTATED) == len(families)

    within(database_url, work, acquire_seconds=30)


def test_one_bad_token_in_a_batch_harms_nobody(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        families = [await started(store) for _ in range(10)]
        for family in families[:3]:
            await go_on(store, family)
        answers = await asyncio.gather(*(present(store, family, 1) for family in families))
        assert [answer.outcome for answer in answers] == [Outcome.THEFT] * 3 + [Outcome.ROTATED] * 7

    within(database_url, work)


def test_a_batch_passes_over_what_somebody_holds(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        families = [await started(store) for _ in range(6)]
        async with store.within(transaction=True) as handed:
            await handed.connection.execute("SELECT FROM families WHERE id = $1 FOR NO KEY UPDATE", families[0].id)
            tasks = [asyncio.create_task(present(store, family, 1)) for family in families]
            done = await asyncio.wait_for(asyncio.gather(*tasks[1:]), 2)
            assert not tasks[0].done()
        assert {answer.outcome for answer in (*done, await tasks[0])} == {Outcome.ROTATED}

    within(database_url, work)


def test_unknown_family_or_other_client_touches_nothing(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        family, other = await started(store), await started(store)
        stranger = await store.rotations.rotate(family.id, 1, other.client_id, key_id="testkey2", idle_seconds=IDLE)
        assert (stranger.outcome, stranger.family) == (Outcome.UNKNOWN, None)
        unknown = await present(store, a_family(a_user(), a_client()), 1)
        assert (unknown.outcome, unknown.family) == (Outcome.UNKNOWN, None)
        assert (await present(store, family, 1)).outcome is Outcome.ROTATED

    within(database_url, work)


@pytest.mark.parametrize("over", ["idle_until", "absolute_until"])
def test_what_is_over_is_ended(database_url: str, over: str) -> None:
    async def work(store: PostgresStore) -> None:
        family = await started(store)
        async with store.within(transaction=False) as handed:
            await handed.connection.execute(
                f"UPDATE families SET {over} = now() - interval '1 second' WHERE id = $1", family.id
            )
        assert (await present(store, family, 1)).outcome is Outcome.ENDED
        assert not await is_listed(store, family.id)

    within(database_url, work)


def test_withdrawn_consent_and_ended_session_end_what_hangs_on_them(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user, client = a_user(), a_client()
        session = a_session(user)
        async with store.transaction() as records:
            await records.users.add(user, None)
            await records.clients.add(client)
            await records.sessions.add(session, session.id.bytes)
            await records.consents.grant(a_consent(user, client))
            offline, online = a_family(user, client), a_family(user, client, session_id=session.id)
            for family in (offline, online):
                await add_family(records, family)
            assert await records.sessions.end(session.id, "test") == [online.id]
            assert await records.sessions.end(session.id, "test") == []
            assert await records.consents.withdraw(user.id, client.id) == [offline.id]
            assert await records.consents.of(user.id, client.id) is None
        for family in (offline, online):
            assert (await present(store, family, 1)).outcome is Outcome.ENDED
            assert await is_listed(store, family.id)

    within(database_url, work)


def test_a_family_lives_no_longer_than_its_consent(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user, client = a_user(), a_client()
        session, until = a_session(user), now() + timedelta(days=2)
        async with store.transaction() as records:
            await records.users.add(user, None)
            await records.clients.add(client)
            await records.sessions.add(session, session.id.bytes)
            await records.consents.grant(a_consent(user, client, until=until))
            await add_code(records, session.id.bytes * 2, a_code(user, client, session_id=session.id))
        begins = a_beginning(user, client, session_id=session.id)
        family = await store.redemptions.redeem(session.id.bytes * 2, begins, Event(code="token.issued"))
        assert family is not None
        assert family.idle_until == family.absolute_until == until
        answer = await present(store, family, 1)
        assert answer.family is not None
        assert answer.family.idle_until == answer.family.absolute_until == until

    within(database_url, work)


def test_a_rotation_is_hot(empty_database_url: str) -> None:
    """Design §5: storage stays one row a session however often it rotates."""

    async def work(store: PostgresStore) -> tuple[int, int]:
        user, client = a_user(), a_client()
        async with store.transaction() as records:
            families = [a_family(user, client) for _ in range(40)]
            for family in families:
                await add_family(records, family)
        for generation in range(1, 51):
            for family in families:
                assert (await present(store, family, generation)).outcome is Outcome.ROTATED
        async with store.within(transaction=False) as handed:
            await handed.connection.execute("SELECT pg_stat_force_next_flush()")
            row = await handed.connection.fetchrow(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'families'"
            )
            assert row is not None
            return row["n_tup_upd"], row["n_tup_hot_upd"]

    updates, hot = within(empty_database_url, work, pool_size=1)
    assert updates == 2000
    assert hot >= 0.99 * updates


def test_ending_twice_lists_once(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        family = await started(store)

        async def end() -> bool:
            async with store.transaction() as records:
                return await records.families.end(family.id, "test")

        assert sum(await asyncio.gather(*(end() for _ in range(10)))) == 1
        assert await is_listed(store, family.id)

    within(database_url, work)


def test_a_locked_person_and_a_deleted_client_lose_all_access(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        locked, deleted = await started(store), await started(store)
        async with store.transaction() as records:
            await records.users.set_disabled(locked.user_id, True)
            assert await records.clients.delete(deleted.client_id)
            assert not await records.clients.delete(deleted.client_id)
        for family in (locked, deleted):
            assert await is_listed(store, family.id)
            assert (await present(store, family, 1)).outcome is Outcome.ENDED

    within(database_url, work)
