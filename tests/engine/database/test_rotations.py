"""Flows §6, row by row, on a real server; and that a rotation is HOT, so a family stays one row."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from tests.fixtures.records import (
    AGED,
    RING,
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

from bartizan.database.presented import GRACED_RUN_ENDS, REMEMBERED
from bartizan.database.store import PostgresStore, connect
from bartizan.model.event import Event
from bartizan.model.families import Family, Outcome, Rotation

pytestmark = pytest.mark.engine

IDLE = 14 * 86_400


async def started(store: PostgresStore, **fields: object) -> Family:
    """A person, a client, a family."""
    user, client = a_user(), a_client()
    async with store.transaction() as records:
        await records.users.add(user, None)
        await records.clients.add(client)
        family = a_family(user, client, **fields)
        await add_family(records, family)
    return family


async def present(store: PostgresStore, family: Family, generation: int) -> Rotation:
    return await store.rotations.rotate(family.id, generation, family.client_id, key_id="testkey2", idle_seconds=IDLE)


async def age(store: PostgresStore, family: Family) -> None:
    """As if the last rotations lay past the grace."""
    async with store.within(transaction=False) as handed:
        await handed.connection.execute(AGED, family.id)


async def go_on(store: PostgresStore, family: Family) -> None:
    """Twice, each past the grace of what was before: generation 1 is an old one then."""
    for generation in (1, 2):
        assert (await present(store, family, generation)).outcome is Outcome.ROTATED
        await age(store, family)


async def is_listed(store: PostgresStore, gid: UUID) -> bool:
    async with store.reading() as records:
        return await records.ended.contains(gid)


async def events(store: PostgresStore, family: Family) -> list[str]:
    async with store.reading() as records:
        return [event.code for event in await records.events.latest(limit=20, user_id=family.user_id)]


async def mails(store: PostgresStore, family: Family) -> int:
    async with store.within(transaction=False) as handed:
        found: int = await handed.connection.fetchval(
            """
            SELECT count(*) FROM pgqueuer
            WHERE entrypoint = 'mail.theft' AND convert_from(payload, 'UTF8')::jsonb->'detail'->>'gid' = $1
            """,
            str(family.id),
        )
        return found


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
