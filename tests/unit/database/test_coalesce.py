"""Batches: what waits shares, a failure is each one's own, who hung up costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from bartizan.database.coalesce import Coalescer
from bartizan.database.connection import Beaten
from bartizan.protocol.refusal import Unavailable


def test_what_waits_shares_the_next_run_and_order_is_kept() -> None:
    batches: list[list[int]] = []

    async def run(asked: Sequence[int]) -> list[int]:
        batches.append(list(asked))
        await asyncio.sleep(0)
        return [number * 10 for number in asked]

    async def work() -> list[int]:
        shared = Coalescer(run, batch=4, at_once=1)
        return list(await asyncio.gather(*(shared.ask(number) for number in range(10))))

    assert asyncio.run(work()) == [number * 10 for number in range(10)]
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_failed_batch_is_run_one_by_one() -> None:
    async def run(asked: Sequence[int]) -> list[int]:
        if 3 in asked:
            raise ValueError("three")
        return list(asked)

    async def work() -> list[int | BaseException]:
        shared = Coalescer(run, batch=8, at_once=1)
        return list(await asyncio.gather(*(shared.ask(number) for number in range(5)), return_exceptions=True))

    answers = asyncio.run(work())
    assert [answer for answer in answers if isinstance(answer, int)] == [0, 1, 2, 4]
    assert isinstance(answers[3], ValueError)


def test_who_hung_up_is_left_out_and_the_rest_is_answered() -> None:
    seen: list[int] = []

    async def work() -> int:
        gate = asyncio.Event()

        async def run(asked: Sequence[int]) -> list[int]:
            seen.extend(asked)
            await gate.wait()
            return list(asked)

        shared = Coalescer(run, at_once=1)
        first, second, third = (asyncio.create_task(shared.ask(number)) for number in range(3))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        fourth = asyncio.create_task(shared.ask(3))
        fifth = asyncio.create_task(shared.ask(4))
        await asyncio.sleep(0)
        for hung_up in (first, fourth):
            hung_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fourth
        gate.set()
        return sum(await asyncio.gather(second, third, fifth))

    assert asyncio.run(work()) == 1 + 2 + 4
    assert 3 not in seen


def test_a_database_that_is_away_is_away_for_all_of_a_batch_and_asked_once() -> None:
    batches: list[int] = []

    async def run(asked: Sequence[int]) -> list[int]:
        batches.append(len(asked))
        raise Unavailable("database", 3)

    async def work() -> list[int | BaseException]:
        shared = Coalescer(run, batch=8, at_once=1)
        return list(await asyncio.gather(*(shared.ask(number) for number in range(8)), return_exceptions=True))

    answers = asyncio.run(work())
    assert [answer.retry_after for answer in answers if isinstance(answer, Unavailable)] == [3] * 8
    assert batches == [8]


def test_a_batch_that_was_beaten_is_run_one_by_one_and_never_two_at_once() -> None:
    running: list[int] = []
    most = 0

    async def run(asked: Sequence[int]) -> list[int]:
        nonlocal most
        running.append(len(asked))
        most = max(most, len(running))
        await asyncio.sleep(0)
        running.pop()
        if len(asked) > 1:
            raise Beaten("database", 1)
        return list(asked)

    async def work() -> list[int]:
        shared = Coalescer(run, batch=8, at_once=1)
        return list(await asyncio.gather(*(shared.ask(number) for number in range(8))))

    assert asyncio.run(work()) == list(range(8))
    assert most == 1


def test_nobody_waits_in_the_queue_longer_than_the_patience_and_no_more_than_fit() -> None:
    async def work() -> tuple[list[int | BaseException], float]:
        gate = asyncio.Event()

        async def run(asked: Sequence[int]) -> list[int]:
            await gate.wait()
            return list(asked)

        shared = Coalescer(run, batch=2, at_once=1, patience=0.05, most=3)
        loop = asyncio.get_running_loop()
        first = asyncio.gather(*(shared.ask(number) for number in range(2)))
        await asyncio.sleep(0)
        begun = loop.time()
        rest = await asyncio.gather(*(shared.ask(number) for number in range(2, 6)), return_exceptions=True)
        waited = loop.time() - begun
        gate.set()
        return [*await first, *rest, await shared.ask(7)], waited

    answers, waited = asyncio.run(work())
    assert answers[:2] == [0, 1]
    assert [type(answer) for answer in answers[2:6]] == [Unavailable] * 4
    assert answers[6] == 7
    assert 0.04 <= waited < 1


def test_a_batch_that_is_slow_is_overtaken_and_a_quick_one_is_waited_for() -> None:
    batches: list[list[int]] = []

    async def work() -> list[int]:
        gate = asyncio.Event()

        async def run(asked: Sequence[int]) -> list[int]:
            batches.append(list(asked))
            if 0 in asked:
                await gate.wait()
            return list(asked)

        shared = Coalescer(run, at_once=2, patience=5, overtaken=0.05)
        held = asyncio.create_task(shared.ask(0))
        await asyncio.sleep(0)
        rest = asyncio.gather(*(shared.ask(number) for number in range(1, 4)))
        await asyncio.sleep(0.01)
        assert batches == [[0]], "for so short a time it is waited for, and the next batch grows"
        async with asyncio.timeout(2):
            answers = await rest
        assert not held.done()
        gate.set()
        return [await held, *answers]

    assert asyncio.run(work()) == [0, 1, 2, 3]
    assert batches == [[0], [1, 2, 3]]


def test_who_asks_as_the_last_batch_ends_is_not_left_waiting() -> None:
    """The answer wakes its asker before the loop has noted that the batch's task is over."""

    async def run(asked: Sequence[int]) -> list[int]:
        await asyncio.sleep(0)
        return list(asked)

    async def work() -> list[int]:
        shared = Coalescer(run, at_once=1, patience=0.2)
        return [await shared.ask(number) for number in range(3)]

    assert asyncio.run(work()) == [0, 1, 2]


def test_a_run_that_answers_for_too_few_fails_and_leaves_nobody_waiting() -> None:
    async def run(asked: Sequence[int]) -> list[int]:
        return [7] if len(asked) == 1 else [7] * (len(asked) - 1)

    async def work() -> list[int]:
        shared = Coalescer(run, batch=8, at_once=1)
        async with asyncio.timeout(5):
            return list(await asyncio.gather(*(shared.ask(number) for number in range(4))))

    assert asyncio.run(work()) == [7] * 4


def test_nobody_waits_for_the_failures_of_others_one_after_the_other() -> None:
    """Beaten together, and then the database goes away while each is run alone."""
    alone: list[int] = []

    async def run(asked: Sequence[int]) -> list[int]:
        if len(asked) > 1:
            raise Beaten("database", 1)
        alone.append(asked[0])
        await asyncio.sleep(0.05)
        raise Unavailable("database")

    async def work() -> list[int | BaseException]:
        shared = Coalescer(run, batch=64, at_once=1, patience=0.12)
        return list(await asyncio.gather(*(shared.ask(number) for number in range(64)), return_exceptions=True))

    answers = asyncio.run(work())
    assert [type(answer) for answer in answers] == [Unavailable] * 64
    assert len(alone) <= 4


def test_who_comes_alone_again_and_again_is_answered_and_company_shares_the_next_run() -> None:
    batches: list[list[int]] = []

    async def run(asked: Sequence[int]) -> list[int]:
        batches.append(list(asked))
        for _ in range(3):
            await asyncio.sleep(0)
        return list(asked)

    async def work() -> list[int]:
        shared = Coalescer(run)
        lone = [await shared.ask(number) for number in range(3)]
        first = asyncio.create_task(shared.ask(3))
        await asyncio.sleep(0)
        return [*lone, *await asyncio.gather(first, *(shared.ask(number) for number in range(4, 7)))]

    assert asyncio.run(work()) == [0, 1, 2, 3, 4, 5, 6]
    assert batches == [[0], [1], [2], [3], [4, 5, 6]]


def test_a_lone_one_who_fails_or_hangs_up_keeps_nobody_waiting() -> None:
    async def work() -> list[int]:
        gate = asyncio.Event()
        gate.set()

        async def run(asked: Sequence[int]) -> list[int]:
            await gate.wait()
            if asked == [13]:
                raise Unavailable("database", 3)
            return list(asked)

        shared = Coalescer(run, patience=5, overtaken=5)
        await shared.ask(0)
        with pytest.raises(Unavailable):
            await shared.ask(13)
        gate.clear()
        lone = asyncio.create_task(shared.ask(1))
        await asyncio.sleep(0)
        rest = asyncio.gather(*(shared.ask(number) for number in range(2, 4)))
        await asyncio.sleep(0)
        lone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lone
        gate.set()
        async with asyncio.timeout(2):
            return await rest

    assert asyncio.run(work()) == [2, 3]


def test_a_lone_one_who_is_slow_is_overtaken() -> None:
    async def work() -> list[int]:
        gate = asyncio.Event()

        async def run(asked: Sequence[int]) -> list[int]:
            if 1 in asked:
                await gate.wait()
            return list(asked)

        shared = Coalescer(run, patience=5, overtaken=0.02)
        await shared.ask(0)
        held = asyncio.create_task(shared.ask(1))
        await asyncio.sleep(0)
        async with asyncio.timeout(2):
            answers = await asyncio.gather(*(shared.ask(number) for number in range(2, 5)))
        assert not held.done()
        gate.set()
        return [await held, *answers]

    assert asyncio.run(work()) == [1, 2, 3, 4]
