"""Flows §6, row by row, on a real server: what a token presented again, late, old or too new is answered."""

from __future__ import annotations

import asyncio

import pytest
from tests.engine.database.rotating import age, events, go_on, is_listed, mails, present, started
from tests.fixtures.records import (
    RING,
    a_client,
    a_family,
    a_session,
    a_user,
    add_family,
    within,
)

from bartizan.database.presented import GRACED_RUN_ENDS, REMEMBERED
from bartizan.database.store import PostgresStore, connect
from bartizan.model.families import Outcome

pytestmark = pytest.mark.engine


def test_a_late_retry_is_honoured_counted_once_and_the_third_in_a_day_ends(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        family = await started(store)
        for generation in (1, 2):
            assert (await present(store, family, generation)).outcome is Outcome.ROTATED
            await age(store, family)
            for _ in range(4):
                again = await present(store, family, generation)
                assert again.outcome is Outcome.LATE_RETRY
                assert again.family is not None
                assert again.family.generation == generation + 1
        assert (await present(store, family, 3)).outcome is Outcome.ROTATED
        await age(store, family)
        ended = await present(store, family, 3)
        assert ended.outcome is Outcome.CONTENDED
        assert await is_listed(store, family.id)
        assert "refresh.contended" in await events(store, family)
        assert await mails(store, family) == 0
        assert (await present(store, family, 4)).outcome is Outcome.ENDED

    within(database_url, work)


def test_late_retries_of_another_day_do_not_add_up(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        family = await started(store)
        for generation in (1, 2, 3, 4):
            assert (await present(store, family, generation)).outcome is Outcome.ROTATED
            await age(store, family)
            assert (await present(store, family, generation)).outcome is Outcome.LATE_RETRY
            async with store.within(transaction=False) as handed:
                await handed.connection.execute(
                    "UPDATE families SET late_since = late_since - interval '13 hours' WHERE id = $1", family.id
                )

    within(database_url, work)


def test_an_old_generation_is_theft_and_all_is_committed_with_the_answer(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        family = await started(store)
        await go_on(store, family)
        answer = await present(store, family, 1)
        assert answer.outcome is Outcome.THEFT
        assert await is_listed(store, family.id)
        assert (await events(store, family)).count("refresh.theft") == 1
        assert await mails(store, family) == 1
        assert (await present(store, family, 3)).outcome is Outcome.ENDED

    within(database_url, work)


@pytest.mark.parametrize("bff", [True, False])
def test_theft_ends_the_session_if_the_client_is_the_bff(database_url: str, bff: bool) -> None:
    async def work(store: PostgresStore) -> None:
        user, client, other = a_user(), a_client(), a_client()
        session = a_session(user)
        async with store.transaction() as records:
            await records.users.add(user, None)
            await records.sessions.add(session, session.id.bytes)
            for registered in (client, other):
                await records.clients.add(registered)
            family = a_family(user, client, bff=bff, session_id=session.id)
            beside = a_family(user, other, session_id=session.id)
            offline = a_family(user, other, session_id=None)
            for each in (family, beside, offline):
                await add_family(records, each)
        await go_on(store, family)
        assert (await present(store, family, 1)).outcome is Outcome.THEFT
        async with store.reading() as records:
            assert (await records.sessions.by_fingerprint(session.id.bytes) is None) is bff
            assert await records.ended.contains(beside.id) is bff
            assert await records.families.by_id(offline.id) is not None

    within(database_url, work)


@pytest.mark.parametrize("bff", [True, False])
def test_five_graced_generations_in_a_row_end_a_family_but_not_the_bffs(database_url: str, bff: bool) -> None:
    async def work(store: PostgresStore) -> None:
        family = await started(store, bff=bff)
        outcomes = []
        for generation in range(1, GRACED_RUN_ENDS + 1):
            assert (await present(store, family, generation)).outcome is Outcome.ROTATED
            outcomes.append((await present(store, family, generation)).outcome)
            await age(store, family)
        assert outcomes[:-1] == [Outcome.GRACE] * (GRACED_RUN_ENDS - 1)
        assert outcomes[-1] is (Outcome.GRACE if bff else Outcome.THEFT)

    within(database_url, work)


def test_a_burst_is_counted_once_however_many_of_its_tabs_come_too_late(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        family = await started(store)
        for generation in range(1, 2 * GRACED_RUN_ENDS):
            assert (await present(store, family, generation)).outcome is Outcome.ROTATED
            assert (await present(store, family, generation)).outcome is Outcome.GRACE
        async with store.within(transaction=False) as handed:
            run = await handed.connection.fetchval("SELECT graced_run FROM families WHERE id = $1", family.id)
        assert run == 1

    within(database_url, work)


def test_a_generation_without_grace_begins_the_run_anew(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        family = await started(store)
        for generation in range(1, 16):
            assert (await present(store, family, generation)).outcome is Outcome.ROTATED
            if generation % 4:
                assert (await present(store, family, generation)).outcome is Outcome.GRACE
            else:
                await age(store, family)

    within(database_url, work)


def test_who_rotates_twice_before_the_clients_timer_is_found_out_as_who_rotates_once(database_url: str) -> None:
    """A burst is one step: it does not begin the run anew."""

    async def work(store: PostgresStore) -> None:
        family = await started(store)
        shared, client = 1, []
        for _ in range(GRACED_RUN_ENDS):
            for generation in (shared, shared + 1):
                assert (await present(store, family, generation)).outcome is Outcome.ROTATED  # the thief, just before
            client.append((await present(store, family, shared)).outcome)
            shared += 2
            await age(store, family)
        assert client == [Outcome.GRACE] * (GRACED_RUN_ENDS - 1) + [Outcome.THEFT]

    within(database_url, work)


def test_a_token_above_its_row_means_the_database_went_back(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        family = await started(store)
        assert (await present(store, family, 7)).outcome is Outcome.AHEAD
        assert await is_listed(store, family.id)
        assert "database.went_back" in await events(store, family)
        assert (await present(store, family, 1)).outcome is Outcome.ENDED

    within(database_url, work)


def test_a_successor_that_is_used_at_once_makes_no_thieves_of_those_who_asked_before(database_url: str) -> None:
    """Ten tabs present one generation to two servers; the first to be answered presents the next while others wait."""

    async def work(store: PostgresStore) -> None:
        beside = await connect(store.settings, RING)
        try:
            for _ in range(15):
                family = await started(store, bff=True)
                both = (store, beside)
                tabs = [asyncio.create_task(present(both[tab % 2], family, 1)) for tab in range(10)]
                await asyncio.wait(tabs, return_when=asyncio.FIRST_COMPLETED)
                answers = await asyncio.gather(*tabs, *(present(both[tab % 2], family, 2) for tab in range(4)))
                assert {answer.outcome for answer in answers} <= {Outcome.ROTATED, Outcome.GRACE}
        finally:
            await beside.close()

    within(database_url, work, acquire_seconds=30)


def test_a_generation_is_graced_from_its_own_rotation_whatever_was_rotated_since(database_url: str) -> None:
    """And is told the newest successor, which is the one that will do in five minutes."""

    async def work(store: PostgresStore) -> None:
        family = await started(store, bff=True)
        for generation in range(1, REMEMBERED + 1):
            assert (await present(store, family, generation)).outcome is Outcome.ROTATED
            for below in range(1, generation + 1):
                answer = await present(store, family, below)
                assert answer.outcome is Outcome.GRACE
                assert answer.family is not None
                assert answer.family.generation == generation + 1
        assert (await present(store, family, REMEMBERED + 1)).outcome is Outcome.ROTATED
        assert (await present(store, family, 1)).outcome is Outcome.THEFT, "longer ago than the row remembers"

    within(database_url, work)


def test_a_burst_is_one_step(database_url: str) -> None:
    """A browser may be left with any generation of it. What was before the burst is as old as it ever was."""

    async def work(store: PostgresStore) -> None:
        family = await started(store, bff=True)
        await go_on(store, family)
        for generation in (3, 4, 5):
            assert (await present(store, family, generation)).outcome is Outcome.ROTATED
        await age(store, family)
        for generation in (5, 4, 3):
            answer = await present(store, family, generation)
            assert answer.outcome is Outcome.LATE_RETRY
            assert answer.family is not None
            assert answer.family.generation == 6
        async with store.within(transaction=False) as handed:
            row = await handed.connection.fetchrow(
                "SELECT rotated_before, late_count FROM families WHERE id = $1", family.id
            )
        assert row is not None
        assert (len(row["rotated_before"]), row["late_count"]) == (2, 1)
        assert (await present(store, family, 2)).outcome is Outcome.THEFT

    within(database_url, work)
