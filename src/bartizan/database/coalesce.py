"""Flows §6 "Batches": what waits while a statement runs shares the next one. Nobody waits for company.

One batch is on its way at a time, as two halves cost more than a whole; when it is slow a second one overtakes it, so
that it does not hold up all. When the database is slow or away, nobody waits without end: not in the queue, and not
for the failure of one after the other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar, cast

from bartizan.database.connection import Beaten
from bartizan.protocol.refusal import Unavailable

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

PATIENCE = 2.0  # seconds in the queue: as long as for a connection
MOST = 4096  # in the queue
OVERTAKEN = 0.1  # seconds in the queue, after which it is not waited any longer for the batch that is on its way


class Coalescer(Generic[Asked, Answer]):
    """`run` answers a batch in order. If it fails, each of the batch is run alone, one by one, and fails or not by
    itself; but if the database is away, it is away for all of them."""

    def __init__(
        self,
        run: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]],
        *,
        batch: int = 64,
        at_once: int = 2,
        patience: float = PATIENCE,
        overtaken: float = OVERTAKEN,
        most: int = MOST,
    ) -> None:
        self._run = run
        self._batch = batch
        self._at_once = at_once
        self._patience = patience
        self._overtaken = overtaken
        self._most = most
        self._waiting: deque[tuple[Asked, asyncio.Future[Answer], float]] = deque()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._alone = False  # the last batch was of one
        self._looking: asyncio.TimerHandle | None = None

    async def ask(self, asked: Asked) -> Answer:
        if len(self._waiting) >= self._most:
            raise Unavailable("database")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        if self._alone and not self._under_way:
            return await self._by_oneself(asked, future)
        self._waiting.append((asked, future, loop.time()))
        if not self._under_way:
            self._start()
        elif self._looking is None:
            self._looking = loop.call_later(min(self._overtaken, self._patience), self._look)
        return await future

    async def _by_oneself(self, asked: Asked, future: asyncio.Future[Answer]) -> Answer:
        """Who comes alone after one who came alone needs no task of another's: a tenth of a lone request. It is only
        their own that ends with them if they hang up."""
        own = cast("asyncio.Task[Any]", asyncio.current_task())
        self._under_way.add(own)
        try:
            await self._answer([(asked, future)])
        finally:
            self._under_way.discard(own)
            if self._waiting and not self._under_way:
                self._start()
        return await future

    def _start(self) -> None:
        task = asyncio.create_task(self._drain())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _look(self) -> None:
        """Who has waited for long in the queue is led past, who has waited too long is told."""
        self._looking = None
        loop = asyncio.get_running_loop()
        while self._waiting:
            _, future, since = self._waiting[0]
            waited = loop.time() - since
            if not future.done() and waited < self._patience:
                if waited >= self._overtaken and len(self._under_way) < self._at_once:
                    self._start()
                pause = self._overtaken - waited if waited < self._overtaken else self._overtaken
                self._looking = loop.call_later(min(pause, self._patience - waited), self._look)
                return
            self._waiting.popleft()
            if not future.done():
                future.set_exception(Unavailable("database"))

    async def _drain(self) -> None:
        try:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
                batch = [(asked, future) for asked, future, _ in taken if not future.done()]  # who hung up is left out
                if batch:
                    self._alone = len(batch) == 1
                    await self._answer(batch)
        finally:  # here, not when the loop comes round to it: who asks in between would wait for one that has ended
            self._under_way.discard(cast("asyncio.Task[Any]", asyncio.current_task()))

    async def _answer(self, batch: list[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        # failpoint: coalesce.batch
        try:
            answered = [*zip(batch, await self._run([asked for asked, _ in batch]), strict=True)]
        except Exception as error:  # whatever it is, it belongs to those who asked
            away = isinstance(error, Unavailable) and not isinstance(error, Beaten)
            if away or len(batch) == 1:
                _fail(batch, error)
            else:
                await self._answer_each(batch)
            return
        for (_, future), answer in answered:
            if not future.done():
                future.set_result(answer)

    async def _answer_each(self, batch: list[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        """As long as that goes on: if it takes long, as when the database goes away meanwhile, the rest are told."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        for number, one in enumerate(batch):
            if loop.time() > until:
                _fail(batch[number:], Unavailable("database"))
                return
            await self._answer([one])


def _fail(batch: list[tuple[Asked, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(
                Unavailable(error.what, error.retry_after) if isinstance(error, Unavailable) else error
            )
