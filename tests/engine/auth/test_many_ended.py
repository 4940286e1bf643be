"""Flows §7, on the real database: more has ended than readers can hold, so the keys that signed it go.

Two nodes, races with a rotation and with another ending, a transaction that dies, and what a reader sees meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from tests.engine.auth.real_house import RealHouse, now
from tests.fixtures.many import crowd
from tests.fixtures.records import new_id
from tests.unit.auth.house import BFF, ISSUER, PRINT_SHOP, RING, SETTINGS, USER
from tests.unit.web.calling import calling

from bartizan.auth import keys
from bartizan.database import switching
from bartizan.database.ended import PostgresEnded
from bartizan.guard.keys import Watch
from bartizan.model.ended import EndedMany, Many
from bartizan.model.keys import REREAD_SECONDS, StoredKey
from bartizan.model.store import Records
from bartizan.protocol import jose
from bartizan.protocol.refusal import Unavailable

pytestmark = pytest.mark.engine

MOST_LISTED = 200  # here; 20,000 in the product
TOO_MANY = MOST_LISTED + 100


@pytest.fixture
def house(empty_database_url: str) -> Iterator[RealHouse]:
    with RealHouse(empty_database_url, most_listed=MOST_LISTED) as made:
        made.furnish()
        made.tokens(BFF)  # the first key is there
        rotate(made)  # and the next is published
        yield made


def rotate(house: RealHouse, *, force: bool = False) -> keys.Plan:
    ports = house.ports
    return house.loop.run_until_complete(keys.rotate(SETTINGS, ports.store, RING, now, ports.chance, force=force))


def published(house: RealHouse) -> list[StoredKey]:
    async def read(records: Records) -> list[StoredKey]:
        return await records.keys.published()

    return house.within(read)


def end(house: RealHouse, **which: object) -> EndedMany:
    async def work(records: Records) -> EndedMany:
        return await records.ended.end_many(Many(**which), "test")  # type: ignore[arg-type]  # its fields by name

    return house.within(work)


def listed(house: RealHouse) -> set[str]:
    async def read(records: Records) -> set[str]:
        return set((await records.ended.after(0)).gids)

    return house.within(read)


def number_listed(house: RealHouse) -> int:
    async def count(records: Records) -> int:
        within = records._within  # type: ignore[attr-defined]  # the real one has it
        return int(await within.connection.fetchval(switching.LISTED, within.settings.ended_seconds))

    return house.within(count)


def seconds_listed(house: RealHouse) -> float:
    async def longest(records: Records) -> float:
        connection = records._within.connection  # type: ignore[attr-defined]  # the real one has it
        return float(await connection.fetchval("SELECT extract(epoch FROM max(until) - now()) FROM ended"))

    return house.within(longest)


def seeded(house: RealHouse, number: int, client_id: str = BFF.id) -> None:
    house.loop.run_until_complete(crowd(house.url, number, client_id=client_id))


def forever(seconds: float, holds: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.02)


def test_more_than_can_be_listed_takes_the_keys_along_and_signs_nobody_else_out(house: RealHouse) -> None:
    lasting = house.tokens(PRINT_SHOP)  # of another app, which is not meant
    ending = house.tokens(BFF)
    seeded(house, TOO_MANY)
    (following, signing) = published(house)
    done = end(house, client_id=BFF.id)
    assert done == EndedMany(sessions=0, families=TOO_MANY + 2, withdrawn=(signing.kid,))
    # The database refuses at once, whatever this node still holds.
    assert house.as_client(BFF, "/introspect", {"token": str(ending["access_token"])}).json == {"active": False}
    assert house.userinfo(str(ending["access_token"])).status == 401
    assert house.refresh(BFF, str(ending["refresh_token"])).status == 400
    assert listed(house) == set()
    forever(2 * REREAD_SECONDS + 0.5, lambda: [key.kid for key in published(house)] == [following.kid])
    renewed = house.refresh(PRINT_SHOP, str(lasting["refresh_token"]))
    assert renewed.status == 200
    assert jose.kid_of(str(renewed.json["access_token"])) == following.kid
    assert (
        house.as_client(PRINT_SHOP, "/introspect", {"token": str(renewed.json["access_token"])}).json["active"] is True
    )
    assert house.events().count("key.changed") == 1
    assert rotate(house).add is not None, "and another is published for the next time"


def test_what_was_listed_outlives_the_key_and_not_by_much(house: RealHouse) -> None:
    seeded(house, TOO_MANY)
    before = new_id()

    async def add(records: Records) -> None:
        await records.ended.add(before)

    house.within(add)
    (_, signing) = published(house)
    end(house)
    while signing.kid in [key.kid for key in published(house)]:
        assert listed(house) == {str(before)}, "as long as the key is published, what it could open is listed"
    assert switching._OUTLIVES - 2 < seconds_listed(house) < switching._OUTLIVES + 0.1
    assert number_listed(house) == 0, "and it is not counted again"


def test_a_transaction_that_dies_ends_nothing_and_changes_no_key(house: RealHouse) -> None:
    seeded(house, TOO_MANY)
    held = published(house)

    async def killed() -> None:
        async with house.real.within(transaction=True) as handed:
            pid = await handed.connection.fetchval("SELECT pg_backend_pid()")
            assert (await PostgresEnded(handed).end_many(Many(), "test")).withdrawn
            async with house.real.within(transaction=False) as other:
                await other.connection.execute("SELECT pg_terminate_backend($1)", pid)
            await handed.connection.execute("SELECT 1")

    with pytest.raises(Unavailable):
        house.loop.run_until_complete(killed())
    assert published(house) == held
    assert end(house).families == TOO_MANY + 1, "all of it is there to be ended once more"


def test_two_endings_at_once_see_of_each_other_what_is_too_many(house: RealHouse) -> None:
    for client_id in (BFF.id, PRINT_SHOP.id):
        seeded(house, MOST_LISTED - 20, client_id)

    async def both() -> list[EndedMany]:
        async def one(client_id: str) -> EndedMany:
            async with house.real.transaction() as records:
                return await records.ended.end_many(Many(client_id=client_id), "test")

        return list(await asyncio.gather(one(BFF.id), one(PRINT_SHOP.id)))

    done = house.loop.run_until_complete(both())
    assert sum(bool(one.withdrawn) for one in done) == 1
    assert number_listed(house) == 0


def test_a_rotation_under_way_brings_no_key_back(house: RealHouse) -> None:
    (following, signing) = published(house)

    async def change(records: Records) -> tuple[str, ...]:
        return await switching.change(records._within, 0)  # type: ignore[attr-defined]  # the real one has it

    async def retire(records: Records) -> None:
        await records.keys.retire(signing.kid, remove_at=now() + timedelta(minutes=6))

    assert house.within(change) == (signing.kid,)
    house.within(retire)  # by a job that had read the keys before
    forever(2, lambda: signing.kid not in [key.kid for key in published(house)])

    async def race() -> None:
        for _ in range(20):
            await asyncio.gather(rotating(), changing())

    async def rotating() -> None:
        await keys.rotate(SETTINGS, house.ports.store, RING, now, house.ports.chance, force=True)

    async def changing() -> None:
        async with house.real.transaction() as records:
            await switching.change(records._within, 0)

    house.loop.run_until_complete(race())
    gone = {following.kid, signing.kid}
    forever(2, lambda: not gone & {key.kid for key in published(house)})
    house.loop.run_until_complete(asyncio.sleep(REREAD_SECONDS))
    assert house.tokens(PRINT_SHOP)["access_token"], "and always one signs"
    assert len([key for key in published(house) if key.active_at <= now()]) == 1


def test_without_a_next_key_who_needs_one_makes_it(house: RealHouse) -> None:
    async def twice(records: Records) -> None:
        for _ in range(2):
            await switching.change(records._within, 0)  # type: ignore[attr-defined]  # the real one has it

    house.within(twice)
    house.loop.run_until_complete(asyncio.sleep(REREAD_SECONDS))
    assert not [key for key in published(house) if key.retired_at is None]
    assert house.call("GET", "/jwks").status == 200
    assert len([key for key in published(house) if key.retired_at is None]) == 1


def test_what_is_listed_by_somebody_who_has_not_committed_stays_listed(house: RealHouse) -> None:
    """Its family may have been given a token of the new key meanwhile."""
    late = new_id()

    async def interleaved() -> None:
        async with house.real.transaction() as slow:
            await slow.ended.add(late)
            async with house.real.transaction() as records:
                await switching.change(records._within, 0)

    house.loop.run_until_complete(interleaved())
    time.sleep(REREAD_SECONDS)
    assert listed(house) == {str(late)}


def test_a_reader_between_two_nodes_never_sees_a_withdrawn_key_again(
    house: RealHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One node has just heard of it, the other holds what it read before; the reader asks them in turn."""
    with RealHouse(house.url, most_listed=MOST_LISTED) as other:
        nodes = [house, other]
        asked: list[str] = []
        monkeypatch.setattr(Watch, "_run", lambda watch, stop: None)

        def fetch(path: str, timeout: float) -> bytes:
            node = nodes[len(asked) % 2]
            asked.append(path)
            answer = node.loop.run_until_complete(calling(node.app, "GET", path))
            assert answer.status == 200, answer.text
            return answer.body

        time.sleep(REREAD_SECONDS)  # both nodes publish both keys
        watch = Watch(ISSUER, fetch=fetch)
        watch.current()
        (following, signing) = published(house)
        assert {signing.kid, following.kid} == set(watch.current().keys.by_kid)

        async def change(records: Records) -> tuple[str, ...]:
            return await switching.change(records._within, 0)  # type: ignore[attr-defined]  # the real one has it

        house.within(change)
        begun, held_until, seen = time.monotonic(), 0.0, []
        while time.monotonic() - begun < 3:
            for node in nodes:
                node.call("GET", "/jwks")  # so that one of them holds what it read a moment ago
            watch.poll()
            seen.append(signing.kid in watch.current().keys.by_kid)
            if seen[-1]:
                held_until = time.monotonic() - begun
        assert held_until < 2, "what flows §7 allows"
        assert sorted(seen, reverse=True) == seen, "gone once is gone"
        assert set(watch.current().keys.by_kid) == {following.kid}


def test_an_operator_chooses(house: RealHouse) -> None:
    old, young = now() - timedelta(days=3), now() - timedelta(days=1)
    mine = house.tokens(PRINT_SHOP)
    for at in (old, now()):
        house.loop.run_until_complete(crowd(house.url, 10, client_id=PRINT_SHOP.id, began=at))
    house.consent(PRINT_SHOP)
    assert end(house, before=young) == EndedMany(sessions=10, families=10)
    assert end(house, client_id=PRINT_SHOP.id, before=young).families == 0
    assert end(house, client_id=PRINT_SHOP.id, but_user=USER.id) == EndedMany(sessions=0, families=10)
    assert end(house, but_user=USER.id) == EndedMany(sessions=10, families=0)
    assert house.refresh(PRINT_SHOP, str(mine["refresh_token"])).status == 200, "hangs on a consent, and was spared"
    assert end(house).families == 1, "the sign-in of the fixture"
    assert end(house, offline=True).families == 1
    assert house.refresh(PRINT_SHOP, str(mine["refresh_token"])).status == 400
