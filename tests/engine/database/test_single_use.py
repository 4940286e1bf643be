"""Design §6: single use is atomic by contract. Each verb is raced over connections of its own; one call wins."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.records import (
    a_beginning,
    a_client,
    a_code,
    a_family,
    a_file,
    a_link,
    a_session,
    a_user,
    add_code,
    add_family,
    an_interaction,
    new_id,
    now,
    within,
)

from bartizan.database.store import PostgresStore
from bartizan.model.clients import Client
from bartizan.model.codes import Pushed
from bartizan.model.event import Event
from bartizan.model.families import Family, NewFamily, Outcome
from bartizan.model.users import User

RACERS = 20

pytestmark = pytest.mark.engine


async def _plant(store: PostgresStore, user: User, client: Client, fingerprint: bytes, **fields: Any) -> None:
    """A code, of a living session."""
    session = a_session(user)
    async with store.transaction() as records:
        await records.users.add(user, None)
        await records.sessions.add(session, os.urandom(32))
        await add_code(records, fingerprint, a_code(user, client, session_id=session.id, **fields))


def test_a_code_is_redeemed_once_and_remembers_what_it_bought(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user, client, fingerprint = a_user(), a_client(), os.urandom(32)
        await _plant(store, user, client, fingerprint)

        async def redeem() -> Family | None:
            begins = a_beginning(user, client)
            return await store.redemptions.redeem(fingerprint, begins, Event(code="token.issued", gid=begins.id))

        families = [family for family in await asyncio.gather(*(redeem() for _ in range(RACERS))) if family]
        assert len(families) == 1
        assert await store.redemptions.see(fingerprint) is not None
        async with store.reading() as records:
            assert await records.codes.bought(fingerprint) == families[0].id
            assert await records.codes.bought(os.urandom(32)) is None
            assert await records.families.by_id(families[0].id) == families[0]
            told = [event for event in await records.events.latest(limit=100) if event.gid == families[0].id]
            assert [event.code for event in told] == ["token.issued"]

    within(database_url, work)


def test_a_disabled_client_buys_nothing_however_lately_it_was_disabled(database_url: str) -> None:
    """A process may hold a client for a moment (database/known_clients.py); what it redeems then is nothing."""

    async def work(store: PostgresStore) -> None:
        user, client, before, after = a_user(), a_client(), os.urandom(32), os.urandom(32)
        await _plant(store, user, client, before)
        async with store.transaction() as records:
            await records.clients.add(client)
            await records.clients.set_disabled(client.id, True)
        await _plant(store, user, client, after)
        for fingerprint in (before, after):
            begins = a_beginning(user, client)
            said = Event(code="token.issued", gid=begins.id)
            assert await store.redemptions.redeem(fingerprint, begins, said) is None
        async with store.transaction() as records:
            await records.clients.set_disabled(client.id, False)
        begins = a_beginning(user, client)
        assert await store.redemptions.redeem(before, begins, Event(code="token.issued", gid=begins.id)) is None

    within(database_url, work)


def test_no_session_of_an_old_password_outlives_its_change(database_url: str) -> None:
    """Signing in while the password is reset: whichever comes first, the old password leaves no session."""

    async def work(store: PostgresStore) -> None:
        user = a_user()
        async with store.transaction() as records:
            await records.users.add(user, "old")

        async def sign_in() -> None:
            async with store.transaction() as records:
                if await records.users.hold_password(user.id, "old"):
                    await asyncio.sleep(0.02)  # so that the change comes in between, where it can
                    await records.sessions.add(a_session(user), os.urandom(32))

        async def reset() -> None:
            async with store.transaction() as records:
                await records.users.set_password(user.id, "new")
                await records.sessions.end_all_of(user.id, "password.reset")

        await asyncio.gather(*(sign_in() for _ in range(4)), reset(), *(sign_in() for _ in range(4)))
        async with store.transaction() as records:
            assert await records.sessions.of_user(user.id) == []
            held = [await records.users.hold_password(user.id, password) for password in ("old", "new")]
        assert held == [False, True]

    within(database_url, work)


def test_a_session_begins_with_its_event_by_todays_password_alone(database_url: str) -> None:
    """The same by one statement, as it is for most who sign in."""

    async def work(store: PostgresStore) -> None:
        user = a_user()
        async with store.transaction() as records:
            await records.users.add(user, "old")

        async def begin(password: str) -> bool:
            session = a_session(user)
            told = Event(code="signin.done", user_id=user.id, session_id=session.id)
            async with store.reading() as records:
                return await records.sessions.begin(session, os.urandom(32), password, told)

        async def reset() -> None:
            async with store.transaction() as records:
                await records.users.set_password(user.id, "new")
                await asyncio.sleep(0.02)  # so that some ask while it is not committed
                await records.sessions.end_all_of(user.id, "password.reset")

        begun = await asyncio.gather(*(begin("old") for _ in range(4)), reset(), *(begin("old") for _ in range(4)))
        assert await begin("old") is False
        async with store.reading() as records:
            assert await records.sessions.of_user(user.id) == []
        assert await begin("new") is True
        async with store.reading() as records:
            (living,) = await records.sessions.of_user(user.id)
            told = [event.session_id for event in await records.events.latest(limit=50, user_id=user.id)]
        assert len(told) == begun.count(True) + 1
        assert told[0] == living.id

    within(database_url, work)


def test_a_session_that_began_while_its_person_was_being_locked_does_not_outlive_that(database_url: str) -> None:
    """The password fitted before, and was still being verified: it opens nothing now, nor when they are unlocked."""

    async def work(store: PostgresStore) -> None:
        user, fingerprint = a_user(), os.urandom(32)
        async with store.transaction() as records:
            await records.users.add(user, "hash")
        async with store.transaction() as records:
            assert await records.users.set_disabled(user.id, True)
        told = Event(code="signin.done", user_id=user.id)
        async with store.reading() as records:
            assert await records.sessions.begin(a_session(user), fingerprint, "hash", told)
        assert await store.lookups.signed_in(fingerprint) is None
        async with store.transaction() as records:
            assert await records.users.set_disabled(user.id, False)
        assert await store.lookups.signed_in(fingerprint) is None
        async with store.reading() as records:
            assert await records.sessions.begin(a_session(user), fingerprint := os.urandom(32), "hash", told)
        async with store.transaction() as records:
            assert not await records.users.set_disabled(user.id, False), "nothing to unlock, so nothing ends"
        assert await store.lookups.signed_in(fingerprint) is not None

    within(database_url, work)


def test_a_code_of_an_ended_session_buys_nothing_that_lives(database_url: str) -> None:
    """Signing out while a code is on its way: whichever comes first, no family outlives its session."""

    async def work(store: PostgresStore) -> None:
        user, client = a_user(), a_client()
        async with store.transaction() as records:
            await records.users.add(user, None)
            await records.clients.add(client)
        for _ in range(30):
            session, fingerprint = a_session(user), os.urandom(32)
            family = a_beginning(user, client, session_id=session.id)
            async with store.transaction() as records:
                await records.sessions.add(session, fingerprint)
                await add_code(records, fingerprint, a_code(user, client, session_id=session.id))
            redeemed, _ = await asyncio.gather(_buy(store, fingerprint, family), _end(store, session.id))
            async with store.reading() as records:
                assert await records.families.by_id(family.id) is None
                assert await records.ended.contains(family.id) is redeemed
            assert not await _buy(store, fingerprint, family)

    async def _buy(store: PostgresStore, fingerprint: bytes, begins: NewFamily) -> bool:
        event = Event(code="token.issued", session_id=begins.session_id, gid=begins.id)
        return await store.redemptions.redeem(fingerprint, begins, event) is not None

    async def _end(store: PostgresStore, session_id: UUID) -> None:
        async with store.transaction() as records:
            await records.sessions.end(session_id, "test")

    within(database_url, work)


def test_a_late_code_buys_nothing(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user, client, fingerprint = a_user(), a_client(), os.urandom(32)
        await _plant(store, user, client, fingerprint, expires_at=now() - timedelta(seconds=1))
        begins = a_beginning(user, client)
        assert await store.redemptions.redeem(fingerprint, begins, Event(code="token.issued")) is None
        async with store.reading() as records:
            assert await records.codes.bought(fingerprint) is None

    within(database_url, work)


def test_a_pushed_request_is_taken_once_and_by_its_client_alone(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        fingerprint = os.urandom(32)
        pushed = Pushed(client_id="one", request=b"{}", expires_at=now() + timedelta(seconds=60))
        async with store.transaction() as records:
            await records.pushed.add(fingerprint, pushed)

        async def take(client_id: str) -> bool:
            async with store.reading() as records:
                return await records.pushed.take(fingerprint, client_id) is not None

        assert not await take("another")
        assert sum(await asyncio.gather(*(take("one") for _ in range(RACERS)))) == 1

    within(database_url, work)


def test_a_late_pushed_request_is_gone(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        fingerprint = os.urandom(32)
        async with store.reading() as records:
            await records.pushed.add(fingerprint, Pushed(client_id="one", request=b"{}", expires_at=now()))
            assert await records.pushed.take(fingerprint, "one") is None

    within(database_url, work)


def test_an_interaction_ends_once(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        interaction, fingerprint, user = an_interaction(a_client()), os.urandom(32), a_user()
        async with store.reading() as records:
            await records.interactions.add(fingerprint, interaction)
            await records.interactions.set_user(interaction.id, user.id)
            found = await records.interactions.by_fingerprint(fingerprint)
            assert found is not None
            assert found.user_id == user.id

        async def finish() -> bool:
            async with store.reading() as records:
                return await records.interactions.finish(interaction.id)

        assert sum(await asyncio.gather(*(finish() for _ in range(RACERS)))) == 1
        async with store.reading() as records:
            assert await records.interactions.by_fingerprint(fingerprint) is None

    within(database_url, work)


def test_a_link_is_used_once_and_for_its_kind_alone(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        link = a_link(None)
        async with store.reading() as records:
            await records.links.add(link)
            assert await records.links.use(link.id, "reset") is None
            peeked = await records.links.peek(link.id, "verify")
            assert peeked is not None
            assert peeked.detail == link.detail

        async def use() -> bool:
            async with store.reading() as records:
                return await records.links.use(link.id, "verify") is not None

        assert sum(await asyncio.gather(*(use() for _ in range(RACERS)))) == 1
        async with store.reading() as records:
            assert await records.links.peek(link.id, "verify") is None

    within(database_url, work)


def test_a_quota_holds_under_uploads_at_once(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        owner = new_id()

        async def reserve() -> bool:
            async with store.reading() as records:
                return await records.files.reserve(a_file(owner, size=1000), quota=5500)

        assert sum(await asyncio.gather(*(reserve() for _ in range(RACERS)))) == 5
        async with store.reading() as records:
            mine = await records.files.of_owner(owner, limit=50, before=None)
            assert len(mine) == 5
            assert await records.files.used(owner) == 5000
            assert not await records.files.delete(mine[0].id, new_id())
            assert await records.files.delete(mine[0].id, owner)
            assert not await records.files.delete(mine[0].id, owner)
            assert await records.files.used(owner) == 4000
            assert not await records.files.reserve(a_file(new_id(), size=6000), quota=5500)

    within(database_url, work)


def test_an_address_belongs_to_one_person_however_it_is_spelled(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        mark = os.urandom(4).hex()

        async def add(number: int) -> bool:
            spelling = f" Grace.{mark}@Example.com" if number % 2 else f"grace.{mark}@example.COM "
            async with store.transaction() as records:
                return await records.users.add(a_user(email=spelling), "hash")

        assert sum(await asyncio.gather(*(add(number) for number in range(RACERS)))) == 1
        async with store.reading() as records:
            found = await records.users.by_email(f"GRACE.{mark}@example.com")
            assert found is not None
            assert await records.users.password_hash(found.id) == "hash"
            other = a_user()
            assert await records.users.add(other, None)
            assert not await records.users.set_email(other.id, f"grace.{mark}@EXAMPLE.com", verified=True)
            kept = await records.users.by_id(other.id)
            assert kept is not None
            assert kept.email == other.email
            assert await records.users.set_email(other.id, f"New.{mark}@example.com", verified=False)
            assert await records.users.by_email(other.email) is None
            moved = await records.users.by_email(f"new.{mark}@example.com")
            assert moved is not None
            assert not moved.email_verified

    within(database_url, work)


def test_attempts_count_in_their_window(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        key = os.urandom(32)

        async def hit(seconds: int) -> int:
            async with store.reading() as records:
                return await records.attempts.hit(key, seconds=seconds)

        assert sorted(await asyncio.gather(*(hit(60) for _ in range(RACERS)))) == list(range(1, RACERS + 1))
        async with store.within(transaction=False) as handed:
            await handed.connection.execute("UPDATE attempts SET until = now() WHERE key = $1", key)
        assert await hit(60) == 1

    within(database_url, work)


def test_theft_and_sign_out_at_once_do_not_wait_for_each_other(database_url: str) -> None:
    """Both end the session and its family: in one order, or one of them is told 503 after a second."""

    async def work(store: PostgresStore) -> None:
        user, client = a_user(), a_client()
        async with store.transaction() as records:
            await records.users.add(user, None)
            await records.clients.add(client)
        for _ in range(25):
            session = a_session(user)
            family = a_family(user, client, session_id=session.id, bff=True, generation=9)
            async with store.transaction() as records:
                await records.sessions.add(session, os.urandom(32))
                await add_family(records, family)

            async def theft(family: Family = family) -> Outcome:
                stolen = await store.rotations.rotate(family.id, 2, family.client_id, key_id="k", idle_seconds=60)
                return stolen.outcome

            async def sign_out(session_id: UUID = session.id) -> list[UUID]:
                async with store.transaction() as records:
                    return await records.sessions.end(session_id, "signed_out")

            outcome, gids = await asyncio.gather(theft(), sign_out())
            assert outcome is (Outcome.ENDED if gids else Outcome.THEFT)

    within(database_url, work)
