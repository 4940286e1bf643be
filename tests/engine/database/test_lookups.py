"""The hot reads (model/lookups.py): what each answers, and that none who shares a statement is told of before."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.records import (
    a_beginning,
    a_client,
    a_code,
    a_family,
    a_session,
    a_user,
    add_code,
    add_family,
    new_id,
    now,
    within,
)

from bartizan.database.store import PostgresStore
from bartizan.model.event import Event
from bartizan.model.sessions import Session
from bartizan.model.users import User
from bartizan.protocol.refusal import Unavailable

pytestmark = pytest.mark.engine


async def _signed_in(store: PostgresStore, **fields: Any) -> tuple[User, Session, bytes]:
    user, fingerprint = a_user(), os.urandom(32)
    session = a_session(user, **fields)
    async with store.transaction() as records:
        await records.users.add(user, None)
        await records.sessions.add(session, fingerprint)
    return user, session, fingerprint


def test_a_client_is_found_by_its_id_and_only_by_it(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        client, other = a_client(origins=("https://a.example",)), a_client()
        async with store.transaction() as records:
            await records.clients.add(client)
            await records.clients.add(other)
        names = [client.id, other.id, "nobody", client.id]
        assert await asyncio.gather(*map(store.lookups.client, names)) == [client, other, None, client]

    within(database_url, work)


def test_standing_tells_of_the_end_and_of_the_person(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user, client = a_user(), a_client()
        family = a_family(user, client)
        async with store.transaction() as records:
            await records.users.add(user, None)
            await records.clients.add(client)
            await add_family(records, family)
        before = await store.lookups.standing(family.id, user.id)
        assert (before.ended, before.user) == (False, user)
        async with store.transaction() as records:
            await records.families.end(family.id, "test")
        after, stranger, machine = await asyncio.gather(
            store.lookups.standing(family.id, user.id),
            store.lookups.standing(new_id(), new_id()),
            store.lookups.standing(family.id, None),
        )
        assert (after.ended, after.user) == (True, user)
        assert (stranger.ended, stranger.user) == (False, None)
        assert (machine.ended, machine.user) == (True, None)

    within(database_url, work)


def test_signed_in_means_a_living_session_of_somebody_who_may(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        user, session, living = await _signed_in(store)
        _, ended_session, ended = await _signed_in(store)
        locked_user, _, locked = await _signed_in(store)
        _, _, over = await _signed_in(store, expires_at=now() - timedelta(seconds=1))
        _, _, idle = await _signed_in(store, last_seen_at=now() - timedelta(days=15))
        async with store.transaction() as records:
            await records.sessions.end(ended_session.id, "test")
            await records.users.set_disabled(locked_user.id, True)
        asked = [living, ended, locked, over, idle, os.urandom(32), living]
        answers = await asyncio.gather(*map(store.lookups.signed_in, asked))
        assert answers[0] == answers[6] == (session, user)
        assert answers[1:6] == [None] * 5

    within(database_url, work)


def test_being_seen_is_written_down_once_a_minute(database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        _, fresh, one = await _signed_in(store, last_seen_at=now() - timedelta(seconds=30))
        _, stale, two = await _signed_in(store, last_seen_at=now() - timedelta(seconds=90))
        await asyncio.gather(store.lookups.signed_in(one), store.lookups.signed_in(two))
        seen = [await store.lookups.signed_in(fingerprint) for fingerprint in (one, two)]
        assert seen[0] is not None
        assert seen[1] is not None
        assert seen[0][0].last_seen_at == fresh.last_seen_at
        assert seen[1][0].last_seen_at > stale.last_seen_at

    within(database_url, work)


def test_an_end_that_is_committed_is_told_to_whoever_asks_after_it(database_url: str) -> None:
    """Sharing must not hand out what was read before the question: each asks right after its own commit."""

    async def work(store: PostgresStore) -> None:
        async def end_and_ask() -> bool:
            gid = new_id()
            assert not (await store.lookups.standing(gid, None)).ended
            async with store.transaction() as records:
                await records.ended.add(gid)
            return (await store.lookups.standing(gid, None)).ended

        for _ in range(5):
            assert all(await asyncio.gather(*(end_and_ask() for _ in range(20))))

    within(database_url, work)


def test_codes_bought_in_one_batch_are_each_their_own(database_url: str) -> None:
    """Living, spent, late, of an ended session, twice in one batch: each answer is its own code's."""

    async def work(store: PostgresStore) -> None:
        user, client = a_user(), a_client()
        sessions = [a_session(user) for _ in range(3)]
        codes = {name: os.urandom(32) for name in ("good", "other", "ended", "late")}
        async with store.transaction() as records:
            await records.users.add(user, None)
            await records.clients.add(client)
            for session in sessions:
                await records.sessions.add(session, os.urandom(32))
            await records.sessions.end(sessions[2].id, "test")
        expires = now() - timedelta(seconds=1)
        planted = [
            ("good", a_code(user, client, session_id=sessions[0].id)),
            ("other", a_code(user, client, session_id=sessions[1].id)),
            ("ended", a_code(user, client, session_id=sessions[2].id)),
            ("late", a_code(user, client, session_id=sessions[0].id, expires_at=expires)),
        ]
        said = Event(code="code.issued", user_id=user.id, client_id=client.id)
        await asyncio.gather(
            *(store.redemptions.issue(codes[name], code, said, by_consent=False) for name, code in planted)
        )

        async def redeem(name: str, session_id: UUID) -> bool:
            begins = a_beginning(user, client, session_id=session_id)
            event = Event(code="token.issued", user_id=user.id, session_id=session_id, gid=begins.id)
            family = await store.redemptions.redeem(codes[name], begins, event)
            assert family is None or (family.id, family.generation) == (begins.id, 1)
            return family is not None

        order: Sequence[tuple[str, int]] = [("late", 0), ("good", 0), ("ended", 2), ("other", 1), ("good", 0)]
        bought = await asyncio.gather(*(redeem(name, sessions[number].id) for name, number in order))
        assert [bought[0], bought[2], bought[3]] == [False, False, True]
        assert sorted((bought[1], bought[4])) == [False, True]
        async with store.reading() as records:
            events = [event for event in await records.events.latest(limit=50) if event.user_id == user.id]
            assert sorted(event.code for event in events) == ["code.issued"] * 4 + ["token.issued"] * 2
            assert len(await records.families.of_user(user.id)) == 2

    within(database_url, work)


def test_one_whose_session_is_held_does_not_keep_the_others_of_its_batch(database_url: str) -> None:
    """An ending of many may hold a session longer than anybody waits. Who shares a statement with it does not."""

    async def work(store: PostgresStore) -> None:
        user, client = a_user(), a_client()
        free, held = a_session(user), a_session(user, last_seen_at=now() - timedelta(hours=1))
        codes = {free.id: os.urandom(32), held.id: os.urandom(32)}
        cookies = {free.id: os.urandom(32), held.id: os.urandom(32)}
        async with store.transaction() as records:
            await records.users.add(user, None)
            await records.clients.add(client)
            for session in (free, held):
                await records.sessions.add(session, cookies[session.id])
                await add_code(records, codes[session.id], a_code(user, client, session_id=session.id))

        async def redeem(session_id: UUID) -> bool:
            begins = a_beginning(user, client, session_id=session_id)
            event = Event(code="token.issued", user_id=user.id, session_id=session_id, gid=begins.id)
            return await store.redemptions.redeem(codes[session_id], begins, event) is not None

        async with store.transaction() as records:
            assert await records.sessions.hold(held.id)
            bought = await asyncio.gather(redeem(held.id), redeem(free.id), return_exceptions=True)
            assert isinstance(bought[0], Unavailable), (
                "it waited for the lock as long as anybody does, and bought nothing"
            )
            assert bought[1] is True
            seen = await asyncio.gather(*(store.lookups.signed_in(cookies[one.id]) for one in (held, free)))
            assert [found is not None for found in seen] == [True, True]
        assert await redeem(held.id)
        assert not await redeem(free.id)
        assert not any(await asyncio.gather(redeem(free.id), redeem(held.id)))

    within(database_url, work, lock_seconds=0.3)
