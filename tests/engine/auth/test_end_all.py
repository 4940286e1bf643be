"""`bartizan session end-all` on the real database: who is meant, what is asked, one event, a key for the next time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.fixtures.many import crowd
from tests.fixtures.records import RING, a_client, a_family, a_session, a_user, add_family, within

from bartizan.database.store import PostgresStore
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
        with pytest.raises(Trouble, match="no client 'none'"):
            await ending.end_all(instance, ending.Wish(client="none"))
        with pytest.raises(Trouble, match="nobody 'none'"):
            await ending.end_all(instance, ending.Wish(but="none"))
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


def test_what_is_asked_before() -> None:
    at = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
    assert ending.moment("2026-11-24T08:30") == ending.moment("2026-11-24T09:30+01:00") == at
    assert ending.moment("") is None
    with pytest.raises(Trouble, match="no time"):
        ending.moment("yesterday")
    assert ending.question(ending.Wish()) == "Sign everybody out?"
    said = ending.question(ending.Wish(client="shop", before=at, but="ada"))
    assert said == "End all access of shop, where it began before 2026-11-24 08:30 UTC, but not ada?"
