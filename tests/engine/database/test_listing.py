"""Flows §7: an entry is needed only while an access token of that gid can live; all that ended is refused the same."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests.fixtures.records import RING, a_client, a_family, a_session, a_user, add_family, now, within

from bartizan.database import store as store_room
from bartizan.database.settings import DatabaseSettings
from bartizan.database.store import PostgresStore, connect
from bartizan.model.ended import Many
from bartizan.model.families import Family, Outcome
from bartizan.model.keys import StoredKey

pytestmark = pytest.mark.engine

LIFETIME = timedelta(seconds=360)  # the default of `ended_seconds`: the longest access lifetime and a minute
USER, CLIENT = a_user(), a_client()


def a_key(kid: str, active_in: timedelta) -> StoredKey:
    return StoredKey(
        kid=kid, algorithm="ES256", public_jwk={}, sealed=b"", created_at=now(), active_at=now() + active_in,
        retired_at=None, removed_at=None,
    )  # fmt: skip


async def _plant(store: PostgresStore, *families: Family) -> None:
    async with store.transaction() as records:
        await records.users.add(USER, None)
        await records.clients.add(CLIENT)
        for family in families:
            await add_family(records, family)


async def _listed(store: PostgresStore) -> set[str]:
    async with store.reading() as records:
        return set((await records.ended.after(0)).gids)


def test_what_waited_to_end_is_listed_when_it_ends(empty_database_url: str) -> None:
    """An ending of many may wait for two minutes, and readers look back one: its beginning is no time to list it by."""
    family = a_family(USER, CLIENT)

    async def work(store: PostgresStore) -> None:
        await _plant(store, family)
        async with store.within(transaction=True) as holder:
            await holder.connection.execute("SELECT FROM families WHERE id = $1 FOR UPDATE", family.id)
            ending = asyncio.create_task(_end_all(store))
            await _until_it_waits(store)
            free = await holder.connection.fetchval("SELECT clock_timestamp()")
        assert await ending == 1
        async with store.within(transaction=False) as handed:
            row = await handed.connection.fetchrow(
                "SELECT at >= $2 AS at, until >= $2 + $3::interval AS until FROM ended WHERE gid = $1",
                family.id, free, LIFETIME,
            )  # fmt: skip
        assert row is not None
        assert dict(row) == {"at": True, "until": True}

    within(empty_database_url, work)


async def _end_all(store: PostgresStore) -> int:
    async with store.transaction() as records:
        return (await records.ended.end_many(Many(offline=True), "test")).families


async def _until_it_waits(store: PostgresStore) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with store.within(transaction=False) as handed:
        until = now() + timedelta(seconds=5)
        while not await handed.connection.fetchval(waiting):
            assert now() < until


def test_what_may_have_access_is_listed_and_what_lay_idle_is_not(empty_database_url: str) -> None:
    idle = a_family(USER, CLIENT, rotated_at=now() - LIFETIME - timedelta(seconds=5))
    just = a_family(USER, CLIENT, rotated_at=now() - LIFETIME + timedelta(seconds=30))
    late = a_family(USER, CLIENT, rotated_at=now() - timedelta(days=2))
    long_ago = a_family(USER, CLIENT, rotated_at=now() - timedelta(days=2))

    async def work(store: PostgresStore) -> None:
        await _plant(store, idle, just, late, long_ago)
        async with store.within(transaction=False) as handed:  # as a late retry marks it: its time stays
            await handed.connection.execute("UPDATE families SET late_gen = generation WHERE id = $1", late.id)
            await handed.connection.execute("UPDATE families SET late_gen = generation - 1 WHERE id = $1", long_ago.id)
        async with store.transaction() as records:
            for family in (idle, just, late, long_ago):
                assert await records.families.end(family.id, "test")
        assert await _listed(store) == {str(just.id), str(late.id)}
        async with store.reading() as records:
            for family in (idle, just, late, long_ago):
                assert await records.ended.contains(family.id), "introspection is told by the row itself"
                assert await records.families.by_id(family.id) is None, "no refresh"

    within(empty_database_url, work)


def test_whoever_is_honoured_late_is_listed_however_long_ago_the_rotation_was(empty_database_url: str) -> None:
    """By the product's own judgement: a late retry gives a token and leaves the time of the rotation alone."""
    family = a_family(USER, CLIENT)

    async def present(store: PostgresStore, generation: int) -> Outcome:
        found = await store.rotations.rotate(family.id, generation, CLIENT.id, key_id="testkey1", idle_seconds=86_400)
        return found.outcome

    async def work(store: PostgresStore) -> None:
        await _plant(store, family)
        assert await present(store, 1) is Outcome.ROTATED
        async with store.within(transaction=False) as handed:
            await handed.connection.execute(
                "UPDATE families SET rotated_at = rotated_at - interval '2 hours' WHERE id = $1", family.id
            )
        assert await present(store, 1) is Outcome.LATE_RETRY
        async with store.transaction() as records:
            assert await records.families.end(family.id, "test")
        assert await _listed(store) == {str(family.id)}

    within(empty_database_url, work)


@pytest.mark.parametrize("active", [True, False])
def test_idle_ones_change_no_key_however_many_end(empty_database_url: str, active: bool) -> None:
    session = a_session(USER)
    ago = timedelta(0) if active else LIFETIME + timedelta(seconds=5)
    families = [a_family(USER, CLIENT, session_id=session.id, rotated_at=now() - ago) for _ in range(12)]

    async def work(store: PostgresStore) -> None:
        async with store.transaction() as records:
            await records.keys.add(a_key("signs", -timedelta(hours=1)))
            await records.keys.add(a_key("next", timedelta(hours=1)))
            await records.users.add(USER, None)
            await records.sessions.add(session, b"f" * 32)
            await records.clients.add(CLIENT)
            for family in families:
                await add_family(records, family)
        async with store.transaction() as records:
            ended = await records.ended.end_many(Many(), "test")
        assert (ended.sessions, ended.families) == (1, 12)
        assert ended.withdrawn == (("signs",) if active else ())
        assert await _listed(store) == set()

    within(empty_database_url, work, most_listed=10)


def test_who_goes_on_with_longer_tokens_says_so_again(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day after another was set lower; else what that one ends would be let in again here."""
    monkeypatch.setattr(store_room, "SAY_AGAIN", 0.0)

    async def work(store: PostgresStore) -> None:
        longer = await connect(DatabaseSettings(url=empty_database_url, ended_seconds=3_660), RING)
        try:
            await longer.epoch()
            await store.epoch()
            async with store.within(transaction=False) as handed:
                await handed.connection.execute("UPDATE meta SET listed_until = now() - interval '1 second'")
                await longer.epoch()
                said = await handed.connection.fetchrow("SELECT listed_seconds, listed_until FROM meta")
            assert said is not None
            assert (said["listed_seconds"], said["listed_until"]) == (3_660, None)
        finally:
            await longer.close()

    within(empty_database_url, work)


@pytest.mark.parametrize("first", ["longer", "shorter"])
def test_what_may_have_a_longer_token_of_another_process_is_listed_for_as_long(
    empty_database_url: str, first: str
) -> None:
    """One was set to an hour and one is set to five minutes: before a restart, or while the other is still to come."""
    families = [a_family(USER, CLIENT, rotated_at=now() - timedelta(minutes=30)) for _ in range(2)]

    async def work(store: PostgresStore) -> None:
        await _plant(store, *families)
        longer = await connect(DatabaseSettings(url=empty_database_url, ended_seconds=3_660), RING)
        try:
            for one in (longer, store) if first == "longer" else (store, longer):
                assert await one.epoch() == 1
        finally:
            await longer.close()
        async with store.transaction() as records:
            await records.families.end(families[0].id, "test")
        assert await _listed(store) == {str(families[0].id)}
        async with store.within(transaction=False) as handed:
            left = "SELECT until > now() + interval '1 hour' FROM ended"
            assert await handed.connection.fetchval(left)
            for_a_day = "SELECT listed_until > now() + interval '23 hours' FROM meta"
            assert await handed.connection.fetchval(for_a_day) is (True if first == "longer" else None)
            await handed.connection.execute("UPDATE meta SET listed_until = now() - interval '1 second'")  # a day later
        async with store.transaction() as records:
            await records.families.end(families[1].id, "test")
        assert await _listed(store) == {str(families[0].id)}

    within(empty_database_url, work)
