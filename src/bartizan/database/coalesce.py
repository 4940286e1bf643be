"""Flows §6 "Batches": what waits while a statement runs shares the next one. Nobody waits for company.

Two batches may be on their way at once, so that one that is slow does not hold up all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Coalescer(Generic[Asked, Answer]):
    """`run` answers a batch in order. If it fails, each of the batch is run alone, and fails or not by itself."""

    def __init__(
        self, run: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]], *, batch: int = 64, at_once: int = 2
    ) -> None:
        self._run = run
        self._batch = batch
        self._at_once = at_once
        self._waiting: deque[tuple[Asked, asyncio.Future[Answer]]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    async def ask(self, asked: Asked) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if len(self._under_way) < self._at_once:
            task = asyncio.create_task(self._drain())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return await future

    async def _drain(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
            batch = [(asked, future) for asked, future in batch if not future.done()]  # who hung up is left out
            if batch:
                await self._answer(batch)

    async def _answer(self, batch: list[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        # failpoint: coalesce.batch
        try:
            answers = await self._run([asked for asked, _ in batch])
        except Exception as error:  # whatever it is, it belongs to those who asked
            if len(batch) > 1:
                await asyncio.gather(*(self._answer([one]) for one in batch))
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
