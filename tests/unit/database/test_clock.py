"""The database's time, learnt now and then, counted on from there."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import cast

from bartizan.database.clock import AGAIN_AFTER, TRUSTED, DatabaseClock
from bartizan.database.connection import Connection

THEN = datetime(2030, 1, 1, tzinfo=UTC)


class Database:
    """Answers what time it is there; the way there and back takes a fifth of a second."""

    def __init__(self) -> None:
        self.now = THEN
        self.counted = 100.0
        self.asked = 0
        self.way = 0.2

    async def fetchval(self, query: str) -> datetime:
        self.asked += 1
        self.counted += self.way
        return self.now


def test_the_machines_clock_does_until_the_database_has_said() -> None:
    database = Database()
    clock = DatabaseClock(lambda: THEN - timedelta(minutes=10), lambda: database.counted)
    assert clock() == THEN - timedelta(minutes=10)
    asyncio.run(clock.learn(cast(Connection, database)))
    assert clock() == THEN + timedelta(seconds=0.1)


def test_it_counts_on_and_asks_again_after_a_while() -> None:
    database = Database()
    clock = DatabaseClock(lambda: THEN, lambda: database.counted)
    asyncio.run(clock.learn(cast(Connection, database)))
    database.counted += AGAIN_AFTER / 2
    asyncio.run(clock.learn(cast(Connection, database)))
    assert database.asked == 1
    assert clock() == THEN + timedelta(seconds=0.1 + AGAIN_AFTER / 2)
    database.counted += AGAIN_AFTER
    database.now = THEN + timedelta(days=1)
    asyncio.run(clock.learn(cast(Connection, database)))
    assert database.asked == 2
    assert clock() == THEN + timedelta(days=1, seconds=0.1)


def test_an_answer_that_took_long_says_little_and_is_passed_over_for_a_while() -> None:
    """Found by the soak: PostgreSQL stood still for 2.8 s, and tokens were issued in the future."""
    database = Database()
    clock = DatabaseClock(lambda: THEN, lambda: database.counted)
    asyncio.run(clock.learn(cast(Connection, database)))
    database.counted += AGAIN_AFTER
    database.now, database.way = THEN + timedelta(seconds=AGAIN_AFTER + 0.1 + 2.8), 2.8
    asyncio.run(clock.learn(cast(Connection, database)))
    assert abs(clock() - database.now) < timedelta(seconds=0.01), "the middle of the way would be 1.4 s ahead"
    database.counted += TRUSTED
    database.now = THEN + timedelta(days=1)
    asyncio.run(clock.learn(cast(Connection, database)))
    assert clock() == THEN + timedelta(days=1, seconds=1.4), "better than counting on for ever"
