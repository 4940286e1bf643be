"""The records one by one: who is living, what goes with what, and what the feed of the ended shows."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

import pytest
from tests.fixtures.records import (
    a_client,
    a_code,
    a_consent,
    a_family,
    a_file,
    a_session,
    a_user,
    add_code,
    add_family,
    new_id,
    now,
    within,
)

from bartizan.cache.limits import ValkeyLimits
from bartizan.database.store import PostgresStore
from bartizan.model.clients import AuthMethod, Kind, Mode
from bartizan.model.keys import StoredKey
from bartizan.model.limit import Limits
from bartizan.model.store import Store

pytestmark = pytest.mark.engine


def kept_promises(store: PostgresStore, limits: ValkeyLimits) -> None:
    """For mypy: each is what the model's Protocol asks for."""
    promised: tuple[Store, Limits] = (store, limits)
    assert promised


def test_a_user_reads_back_as_written_and_is_erased_with_everything(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user, client = a_user(password_changed_at=now(), admin=True), a_client()
        session, family, file = a_session(user), a_family(user, client), a_file(user.id)
        async with store.transaction() as records:
            assert await records.users.add(user, "hash")
            await records.clients.add(client)
            await records.sessions.add(session, session.id.bytes)
            await add_family(records, family)
            await records.consents.grant(a_consent(user, client))
            await add_code(records, session.id.bytes * 2, a_code(user, client))
            assert await records.files.reserve(file, quota=10_000)
            assert await records.users.by_id(user.id) == user
            assert await records.users.by_email(f"  {user.email.upper()} ") == user
            assert user in await records.users.search(user.email[:12].upper(), limit=5, offset=0)
            assert await records.files.may_see(file.id, user.id, family.id) == file
            assert await records.files.may_see(file.id, new_id(), family.id) is None
        assert await store.redemptions.see(session.id.bytes * 2) is not None
        async with store.transaction() as records:
            assert await records.users.any_admin()
            await records.users.set_verified(user.id)
            await records.users.set_password(user.id, "new hash")
            assert await records.users.password_hash(user.id) == "new hash"
            await records.users.delete(user.id)
        async with store.reading() as records:
            assert await records.users.by_id(user.id) is None
            assert await records.sessions.by_fingerprint(session.id.bytes) is None
            assert await records.consents.of_user(user.id) == []
            assert await records.files.by_id(file.id) is None
            assert await records.files.used(user.id) == 0
            assert await records.ended.contains(family.id)
            assert await records.files.may_see(file.id, user.id, family.id) is None
        assert await store.redemptions.see(session.id.bytes * 2) is None

    within(database_url, work)


def test_a_file_is_seen_through_a_living_family_of_its_owner_alone(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user, other, client = a_user(), a_user(), a_client()
        file, mine, theirs = a_file(user.id), a_family(user, client), a_family(other, client)
        over = a_family(user, client, idle_until=now() - timedelta(seconds=1))
        async with store.transaction() as records:
            await records.clients.add(client)
            for who in (user, other):
                await records.users.add(who, None)
            for family in (mine, theirs, over):
                await add_family(records, family)
            assert await records.files.reserve(file, quota=10_000)
        async with store.reading() as records:
            seen = [
                await records.files.may_see(file.id, user.id, gid) for gid in (mine.id, theirs.id, over.id, new_id())
            ]
            assert seen == [file, None, None, None]
        async with store.transaction() as records:
            assert await records.families.end(mine.id, "test")
            assert await records.files.may_see(file.id, user.id, mine.id) is None

    within(database_url, work)


def test_a_session_lives_until_ended_idle_or_over(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user = a_user()
        fresh = a_session(user)
        idle = a_session(user, last_seen_at=now() - timedelta(days=15))
        over = a_session(user, expires_at=now() - timedelta(seconds=1))
        stale = a_session(user, last_seen_at=now() - timedelta(minutes=5))
        async with store.transaction() as records:
            await records.users.add(user, None)
            for session in (fresh, idle, over, stale):
                await records.sessions.add(session, session.id.bytes)
            assert await records.sessions.by_fingerprint(fresh.id.bytes) == fresh
            assert await records.sessions.by_fingerprint(idle.id.bytes) is None
            assert await records.sessions.by_fingerprint(over.id.bytes) is None
            assert await records.sessions.by_fingerprint(stale.id.bytes) == stale
            touched = await records.sessions.by_fingerprint(stale.id.bytes)
            assert touched is not None
            assert touched.last_seen_at > stale.last_seen_at
            assert {session.id for session in await records.sessions.of_user(user.id)} == {fresh.id, stale.id}
        async with store.transaction() as records:
            await records.sessions.reauthenticated(fresh.id, b"another")
            assert await records.sessions.by_fingerprint(fresh.id.bytes) is None
            renewed = await records.sessions.by_fingerprint(b"another")
            assert renewed is not None
            assert renewed.auth_time > fresh.auth_time
            await records.sessions.end_all_of(user.id, "test", but=fresh.id)
            assert [session.id for session in await records.sessions.of_user(user.id)] == [fresh.id]
            await records.users.set_disabled(user.id, True)
            assert await records.sessions.by_fingerprint(b"another") is None

    within(database_url, work)


def test_a_session_that_is_over_but_feeds_an_app_can_still_be_ended(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user, client = a_user(), a_client()
        session = a_session(user, last_seen_at=now() - timedelta(days=20))
        family = a_family(user, client, session_id=session.id)
        async with store.transaction() as records:
            await records.users.add(user, None)
            await records.sessions.add(session, session.id.bytes)
            await add_family(records, family)
            assert [found.id for found in await records.sessions.of_user(user.id)] == [session.id]
            assert await records.sessions.end_all_of(user.id, "test") == [family.id]
            assert await records.sessions.of_user(user.id) == []
            assert await records.families.of_user(user.id) == []

    within(database_url, work)


def test_the_files_clients_are_exactly_the_files(empty_database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user = a_user()
        spa = a_client(
            id="spa", kind=Kind.BROWSER, mode=Mode.MEMORY, owner="file", auth_method=AuthMethod.BASIC,
            origins=("https://app.example",), redirect_onward=("https://next.example",), checked_at=now(),
        )  # fmt: skip
        gone, console = a_client(id="gone", owner="file"), a_client(id="console")
        family = a_family(user, gone)
        async with store.transaction() as records:
            await records.users.add(user, None)
            assert await records.clients.add(console)
            assert not await records.clients.add(console)
            await records.clients.replace_file_owned((spa, gone))
            await add_family(records, family)
            await records.consents.grant(a_consent(user, gone))
            assert await records.clients.by_id("spa") == spa
        async with store.transaction() as records:
            await records.clients.replace_file_owned((a_client(id="spa", owner="file", name="New name"),))
            assert [client.id for client in await records.clients.all()] == ["console", "spa"]
            changed = await records.clients.by_id("spa")
            assert changed is not None
            assert (changed.name, changed.created_at) == ("New name", spa.created_at)
            assert await records.ended.contains(family.id)
            assert await records.consents.of_user(user.id) == []

    within(empty_database_url, work)


def test_the_origins_of_who_is_disabled_are_not_told(empty_database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        both, one = ("https://a.example", "https://b.example"), ("https://b.example",)
        async with store.transaction() as records:
            for client in (a_client(origins=both), a_client(origins=one), a_client()):
                await records.clients.add(client)
            await records.clients.add(a_client(id="off", origins=("https://off.example",)))
            assert await records.clients.set_disabled("off", True)
        async with store.reading() as records:
            assert await records.clients.origins() == set(both)

    within(empty_database_url, work)


def test_consent_is_one_a_client_and_has_an_end(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user, client = a_user(), a_client()
        async with store.transaction() as records:
            await records.users.add(user, None)
            await records.clients.add(client)
            await records.consents.grant(a_consent(user, client))
            wider = a_consent(user, client, scopes=("photos.read", "photos.write"))
            await records.consents.grant(wider)
            assert await records.consents.of(user.id, client.id) == wider
            family = a_family(user, client)
            await add_family(records, family)
            used = await records.consents.of_user(user.id)
            assert [consent.last_used_at for consent in used] == [family.rotated_at]
            await records.consents.grant(a_consent(user, client, until=now() - timedelta(seconds=1)))
            assert await records.consents.of(user.id, client.id) is None
            assert await records.families.by_id(family.id) is None

    within(database_url, work)


def test_the_feed_overlaps_and_forgets(empty_database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        first, second = new_id(), new_id()
        async with store.transaction() as records:
            await records.ended.add(first)
            await records.ended.add(first)
        async with store.reading() as records:
            page = await records.ended.after(0)
            assert page.gids == (str(first),)
            assert page.cursor == page.now
            assert (await records.ended.after(page.cursor)).gids == page.gids  # 60 s are read again
            assert (await records.ended.after(page.cursor + 61)).gids == ()
            await records.ended.add(second)
        async with store.within(transaction=False) as handed:
            await handed.connection.execute("UPDATE ended SET until = now() WHERE gid = $1", first)
        async with store.reading() as records:
            assert (await records.ended.after(0)).gids == (str(second),)
            assert not await records.ended.contains(first)

    within(empty_database_url, work)


def test_keys_are_published_until_removed_and_one_rotates_at_a_time(empty_database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        def key(kid: str, hours: int) -> StoredKey:
            at = now() + timedelta(hours=hours)
            return StoredKey(
                kid=kid, algorithm="ES256", public_jwk={"kty": "EC", "kid": kid}, sealed=os.urandom(16),
                created_at=at, active_at=at, retired_at=None, removed_at=None,
            )  # fmt: skip

        old, new = key("old", -2), key("new", -1)
        async with store.transaction() as records:
            for each in (old, new):
                await records.keys.add(each)
            assert await records.keys.published() == [new, old]
            await records.keys.retire("old", remove_at=now() + timedelta(minutes=6))
            assert [each.kid for each in await records.keys.published()] == ["new", "old"]
            await records.keys.remove("new")
            assert [each.kid for each in await records.keys.published()] == ["old"]

        async def rotate(all_asked: asyncio.Barrier) -> bool:
            async with store.transaction() as records:
                locked = await records.keys.lock_rotation()
                await all_asked.wait()
                return locked

        all_asked = asyncio.Barrier(4)
        assert sum(await asyncio.gather(*(rotate(all_asked) for _ in range(4)))) == 1

    within(empty_database_url, work)
