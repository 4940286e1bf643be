"""`bartizan session end-all` on the real database: who is meant, what is asked, one event, a key for the next time."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from tests.fixtures.many import crowd
from tests.fixtures.records import RING, a_client, a_code, a_family, a_session, a_user, add_family, within

from bartizan.database.store import PostgresStore
from bartizan.model.ended import Many, Meant
from bartizan.model.event import Event
from bartizan.stack import ending, operations
from bartizan.stack.effective import Effective
from bartizan.stack.home import Trouble
from bartizan.stack.instance import Instance
from bartizan.stack.schema import Config

pytestmark = pytest.mark.engine


def test_an_operator_ends_many_and_spares_one(empty_database_url: str) -> None:
    async def work(store: PostgresStore) -> None:
        at = Effective(config=Config(), data="", sockets="", engines="", uid=None, gid=None, base="")
        instance = Instance(at=at, store=store, ring=RING)
        await operations.rotate_keys(instance)
        await operations.rotate_keys(instance)
        user, client = a_user(email="admin@example.com"), a_client(id="shop")
        session = a_session(user)
        family = a_family(user, client, session_id=session.id)
        async with store.transaction() as records:
            await records.users.add(user, None)
            await records.clients.add(client)
            await records.sessions.add(session, b"x")
            await add_family(records, family)
        await crowd(empty_database_url, 60, client_id="shop")
        for ask in (ending.look, ending.end_all):
            with pytest.raises(Trouble, match=r"^--client: there is no client 'none'"):
                await ask(instance, ending.Wish(client="none"))
            with pytest.raises(Trouble, match=r"^--but: there is nobody 'none'"):
                await ask(instance, ending.Wish(but="none"))
        some = await ending.end_all(instance, ending.Wish(client="shop", but="admin@example.com"))
        assert some == {"sessions_ended": 0, "access_ended": 60, "new_signing_key": False}
        await crowd(empty_database_url, 60, client_id="shop")
        signed = next(key["kid"] for key in await operations.list_keys(instance) if key["state"] == "signs")
        many = await ending.end_all(instance, ending.Wish(but="admin@example.com"))
        assert many == {"sessions_ended": 120, "access_ended": 60, "new_signing_key": True}
        keys = {key["kid"]: key["state"] for key in await operations.list_keys(instance)}
        assert sorted(state for kid, state in keys.items() if kid != signed) == ["next", "signs"]
        async with store.reading() as records:
            assert await records.families.by_id(family.id) is not None
            events = [event for event in await records.events.latest(limit=9) if event.code == "sessions.ended"]
        assert [(event.client_id, event.detail["families"]) for event in events] == [(None, "60"), ("shop", "60")]

    within(empty_database_url, work, most_listed=100)


def test_what_is_counted_is_what_is_ended(empty_database_url: str) -> None:
    """Whatever is chosen, for people with two sessions and with access that hangs on none."""

    async def work(store: PostgresStore) -> None:
        at = Effective(config=Config(), data="", sockets="", engines="", uid=None, gid=None, base="")
        instance = Instance(at=at, store=store, ring=RING)
        ada, client = a_user(email="ada@example.com"), a_client(id="shop")
        sessions = [a_session(ada), a_session(ada)]
        async with store.transaction() as records:
            await records.users.add(ada, None)
            await records.clients.add(client)
            for number, session in enumerate(sessions):
                await records.sessions.add(session, str(number).encode())
                await add_family(records, a_family(ada, client, session_id=session.id))
            await add_family(records, a_family(ada, client, session_id=None))
        await crowd(empty_database_url, 5, client_id="shop")
        long_ago, soon = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
        wishes = {
            ending.Wish(): (7, 7, 6),
            ending.Wish(offline=True): (7, 8, 6),
            ending.Wish(but="ada@example.com", offline=True): (5, 5, 5),
            ending.Wish(client="shop"): (0, 8, 6),
            ending.Wish(client="shop", but="ada@example.com"): (0, 5, 5),
            ending.Wish(client="shop", before=long_ago): (0, 0, 0),
            ending.Wish(before=long_ago, offline=True): (0, 0, 0),
            ending.Wish(before=soon): (7, 7, 6),
            ending.Wish(before=soon, but="ada@example.com"): (5, 5, 5),
            ending.Wish(before=soon, offline=True): (7, 8, 6),
        }
        for wish, (signed_in, families, people) in wishes.items():
            meant = await ending.look(instance, wish)
            assert meant == Meant(sessions=signed_in, families=families, people=people), wish
            with suppress(_Undone):
                async with store.transaction() as records:
                    spared = ada.id if wish.but else None
                    which = Many(
                        client_id=wish.client or None, before=wish.before, but_user=spared, offline=wish.offline
                    )
                    done = await records.ended.end_many(which, "test")
                    assert (done.sessions, done.families) == (signed_in, families), wish
                    raise _Undone

    within(empty_database_url, work)


def test_of_an_app_that_has_nothing_yet_the_code_on_its_way_ends(empty_database_url: str) -> None:
    wish = ending.Wish(client="shop")

    async def work(store: PostgresStore) -> None:
        at = Effective(config=Config(), data="", sockets="", engines="", uid=None, gid=None, base="")
        instance = Instance(at=at, store=store, ring=RING)
        user, client = a_user(), a_client(id="shop")
        session = a_session(user)
        async with store.transaction() as records:
            await records.users.add(user, None)
            await records.clients.add(client)
            await records.sessions.add(session, b"s" * 32)
        code = a_code(user, client, session_id=session.id)
        assert await store.redemptions.issue(b"c" * 32, code, Event(code="code.issued"), by_consent=False)
        meant = await ending.look(instance, wish)
        assert (meant.sessions, meant.families) == (0, 0)
        assert not ending.in_vain(wish, meant)
        assert ending.in_vain(ending.Wish(), meant)
        await ending.end_all(instance, wish)
        assert await store.redemptions.see(b"c" * 32) is None

    within(empty_database_url, work)


class _Undone(Exception):  # noqa: N818 - not an error: what was tried is rolled back
    pass


def test_what_is_asked_before() -> None:
    at = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
    assert ending.moment("2026-11-24T08:30") == ending.moment("2026-11-24T09:30+01:00") == at
    assert ending.moment("") is None
    with pytest.raises(Trouble, match="no time"):
        ending.moment("yesterday")
    many, one = Meant(sessions=1234, families=2345, people=900), Meant(sessions=1, families=1, people=1)
    assert ending.question(ending.Wish(), many) == "End 1,234 sessions of 900 people, with 2,345 sign-ins to apps?"
    assert ending.question(ending.Wish(), one) == "End 1 session of 1 person, with 1 sign-in to apps?"
    said = ending.question(ending.Wish(client="shop", before=at, but="ada"), many)
    assert said == (
        "End what client shop has: 2,345 sign-ins of 900 people, begun before 2026-11-24 08:30 UTC, but nothing of ada?"
    )
    outliving = Meant(sessions=0, families=3, people=2)
    assert ending.question(ending.Wish(offline=True), outliving) == "End 3 sign-ins to apps, of 2 people?"
