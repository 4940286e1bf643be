"""The pool (database/pool.py) over lines to nothing: turns, losses, cuts, rest, and no leak by any cancellation."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

import pytest

from bartizan.database.connection import Connection
from bartizan.database.pool import Pool
from bartizan.protocol.refusal import Unavailable


class Line:
    """A connection to nothing."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.lent = False
        self.in_transaction = False
        self.closed = False

    def is_closed(self) -> bool:
        return self.closed

    def is_in_transaction(self) -> bool:
        return self.in_transaction

    def terminate(self) -> None:
        self.closed = True
        self.server.lines.discard(self)
        if not self.server.lines:
            self.server.empty.set()

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's own name
        try:
            await asyncio.sleep(0)
        finally:
            self.terminate()


class Server:
    """Opens lines, after `pause` looks of the loop."""

    def __init__(self, most: int, pause: int = 0) -> None:
        self.most = most
        self.pause = pause
        self.opening = 0
        self.opened = 0
        self.lines: set[Line] = set()
        self.refuses = False
        self.empty = asyncio.Event()

    async def connect(self) -> Connection:
        self.opening += 1
        try:
            assert self.opening + len(self.lines) <= self.most, "more than the pool may have"
            for _ in range(self.pause):
                await asyncio.sleep(0)
            if self.refuses:
                raise ConnectionRefusedError
        finally:
            self.opening -= 1
        line = Line(self)
        self.opened += 1
        self.lines.add(line)
        self.empty.clear()
        return cast(Connection, line)


def a_pool(size: int, *, pause: int = 0, patience: float = 5.0, rests: float = 60.0) -> tuple[Pool, Server]:
    server = Server(size, pause)
    return Pool(server.connect, size=size, patience=patience, rests=rests), server


def line(connection: Connection) -> Line:
    return cast(Line, connection)


async def nobody_has_a_turn(pool: Pool, size: int) -> None:
    """All turns can be had at once, by someone who waits for none."""
    lent = [await asyncio.wait_for(pool.acquire(), 1) for _ in range(size)]
    assert len(set(lent)) == size
    for connection in lent:
        pool.release(connection)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def within_time() -> None:
        async with asyncio.timeout(20):
            await work()

    asyncio.run(within_time())


def test_opens_when_one_is_wanted_and_lends_the_last_one_first() -> None:
    async def work() -> None:
        pool, server = a_pool(4)
        assert server.opened == 0
        first, second = await pool.acquire(), await pool.acquire()
        pool.release(first)
        pool.release(second)
        assert await pool.acquire() is second
        assert server.opened == 2
        pool.release(second)
        await pool.close()
        assert not server.lines

    run(work)


def test_turns_come_in_order() -> None:
    async def work() -> None:
        pool, _ = a_pool(1)
        told: list[int] = []

        async def ask(number: int) -> None:
            connection = await pool.acquire()
            told.append(number)
            await asyncio.sleep(0)
            pool.release(connection)

        held = await pool.acquire()
        asked = [asyncio.create_task(ask(number)) for number in range(5)]
        await asyncio.sleep(0)
        pool.release(held)
        late = asyncio.create_task(ask(5))  # the turn is given to the first already
        await asyncio.gather(*asked, late)
        assert told == [0, 1, 2, 3, 4, 5]
        await pool.close()

    run(work)


def test_patience_ends_and_the_turn_of_who_gave_up_is_not_lost() -> None:
    async def work() -> None:
        pool, _ = a_pool(1, patience=0.05)
        held = await pool.acquire()
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            await pool.acquire()
        assert 0.04 < time.monotonic() - begun < 1
        pool.release(held)
        await nobody_has_a_turn(pool, 1)
        await pool.close()

    run(work)


def test_a_server_that_says_nothing_and_one_that_refuses_cost_no_turn() -> None:
    async def work() -> None:
        pool, server = a_pool(2, pause=10**9, patience=0.05)
        for refuses, told in ((False, TimeoutError), (True, ConnectionRefusedError)):
            server.refuses = refuses
            for _ in range(3):
                with pytest.raises(told):
                    await pool.acquire()
            server.pause = 0
        server.refuses = False
        await nobody_has_a_turn(pool, 2)
        await pool.close()

    run(work)


def test_one_that_is_lost_casts_out_all_from_before() -> None:
    async def work() -> None:
        pool, server = a_pool(3)
        lost, lent, idle = [await pool.acquire() for _ in range(3)]
        pool.release(idle)
        line(lost).terminate()
        pool.release(lost)
        assert pool.losses == 1
        assert line(idle).closed, "it lay there before"
        pool.release(lent)
        assert line(lent).closed, "it was lent before"
        assert not server.lines
        both = [await pool.acquire() for _ in range(2)]
        for connection in both:
            pool.release(connection)
        line(both[1]).terminate()  # while it lies there
        other = await pool.acquire()
        assert line(both[0]).closed
        assert other not in both
        pool.release(other)
        await nobody_has_a_turn(pool, 3)
        assert pool.losses == 2
        await pool.close()

    run(work)


def test_who_was_lent_before_a_loss_and_comes_back_lost_is_no_further_one() -> None:
    async def work() -> None:
        pool, server = a_pool(3)
        lost, late = await pool.acquire(), await pool.acquire()
        line(lost).terminate()
        pool.release(lost)
        new = await pool.acquire()
        pool.release(new)
        line(late).terminate()
        pool.release(late)
        assert pool.losses == 1
        assert server.lines == {line(new)}
        await pool.close()

    run(work)


def test_one_that_was_being_opened_while_another_was_lost_is_lent_once() -> None:
    async def work() -> None:
        pool, server = a_pool(2, pause=3)
        first = await pool.acquire()
        opening = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        line(first).terminate()
        pool.release(first)
        doubtful = await opening
        pool.release(doubtful)
        assert line(doubtful).closed
        assert server.opened == 2
        await pool.close()

    run(work)


@pytest.mark.parametrize("how", ["cut", "in a transaction"])
def test_what_is_not_whole_is_closed_and_keeps_its_turn_until_then(how: str) -> None:
    async def work() -> None:
        pool, server = a_pool(1)
        left = await pool.acquire()
        line(left).in_transaction = how == "in a transaction"
        pool.release(left, cut=how == "cut")
        other = await pool.acquire()  # `Server.connect` looks that there is no second
        assert other is not left
        assert line(left).closed
        assert (pool.losses, server.opened) == (0, 2)
        pool.release(other)
        await pool.close()

    run(work)


def test_those_beyond_need_are_closed_and_none_that_is_used() -> None:
    async def work() -> None:
        pool, server = a_pool(4)
        for connection in [await pool.acquire() for _ in range(4)]:
            pool.release(connection)
        pool.look()
        assert len(server.lines) == 4, "all were used since the look before"
        two = [await pool.acquire() for _ in range(2)]
        for connection in two:
            pool.release(connection)
        pool.look()
        assert server.lines == {line(connection) for connection in two}
        lent = await pool.acquire()
        pool.look()
        pool.look()
        assert server.lines == {line(lent)}
        pool.release(lent)
        await nobody_has_a_turn(pool, 4)
        await pool.close()

    run(work)


def test_in_the_end_all_that_nobody_uses_are_closed_by_themselves() -> None:
    async def work() -> None:
        pool, server = a_pool(2, rests=0.02)
        for _ in range(2):
            await nobody_has_a_turn(pool, 2)
            await asyncio.wait_for(server.empty.wait(), 5)
        await pool.close()

    run(work)


def test_closing_waits_for_what_is_lent_and_lends_no_more() -> None:
    async def work() -> None:
        pool, server = a_pool(1)
        lent = await pool.acquire()
        waits = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0.02)
        assert not closing.done()
        pool.release(lent)
        await closing
        with pytest.raises(Unavailable):
            await waits
        with pytest.raises(Unavailable):
            await asyncio.wait_for(pool.acquire(), 1)
        assert not server.lines
        await pool.close()

    run(work)


@pytest.mark.parametrize("seed", range(40))
def test_no_order_of_cancellations_losses_and_refusals_leaks_anything(seed: int) -> None:
    """Whoever hangs up, at whichever look of the loop: nobody shares, no turn is lost, and none is left open."""
    chance = random.Random(seed)

    async def work() -> None:
        size = chance.randint(1, 4)
        pool, server = a_pool(size, pause=chance.randint(0, 3), patience=chance.choice([0.002, 5.0]))

        async def ask() -> None:
            connection = await pool.acquire()
            assert not line(connection).lent, "lent twice"
            line(connection).lent, cut = True, True
            try:
                for _ in range(chance.randint(0, 4)):
                    await asyncio.sleep(0)
                line(connection).in_transaction = chance.random() < 0.1
                if chance.random() < 0.1:
                    line(connection).terminate()
                cut = False
            finally:
                line(connection).lent = False
                pool.release(connection, cut=cut)

        asked = []
        for _ in range(150):
            asked.append(asyncio.create_task(ask()))
            if chance.random() < 0.5:
                chance.choice(asked).cancel()
            server.refuses = chance.random() < 0.1
            if chance.random() < 0.6:
                await asyncio.sleep(0)
        for told in await asyncio.gather(*asked, return_exceptions=True):
            assert told is None or isinstance(told, (asyncio.CancelledError, ConnectionRefusedError, TimeoutError)), (
                told
            )
        server.refuses = False
        await nobody_has_a_turn(pool, size)
        assert len(server.lines) <= size
        await pool.close()
        assert not server.lines

    run(work)


def test_closing_that_is_given_up_leaves_none_open() -> None:
    async def work() -> None:
        pool, server = a_pool(2)
        lent, idle = await pool.acquire(), await pool.acquire()
        pool.release(idle)
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0)
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing
        assert not server.lines
        pool.release(lent)
        await asyncio.sleep(0)

    run(work)
