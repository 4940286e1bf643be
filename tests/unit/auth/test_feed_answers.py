"""F§7: many readers who ask for the same page share one answer, which none of them gets from before he asked."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from bartizan.auth.endpoints.ended import Answers
from bartizan.protocol.refusal import Unavailable


class Made(Answers):
    """Counts what is made; each takes until the gate opens, and says what was so when it began."""

    def __init__(self) -> None:
        super().__init__(cast(Any, None))
        self.now = 0
        self.begun: list[int] = []
        self.gate = asyncio.Event()
        self.away = False

    async def _make(self, cursor: int) -> bytes:
        self.begun.append(cursor)
        seen = self.now
        await self.gate.wait()
        if self.away:
            raise Unavailable("database")
        return f"{cursor}:{seen}".encode()


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_who_asks_while_one_is_made_shares_the_next() -> None:
    async def work() -> None:
        made = Made()
        first = asyncio.create_task(made.after(0))
        await _settled()
        made.now = 1
        rest = [asyncio.create_task(made.after(0)) for _ in range(50)]
        other = asyncio.create_task(made.after(7))
        await _settled()
        assert made.begun == [0, 7], "another cursor does not wait"
        rest[0].cancel()
        made.gate.set()
        assert await first == b"0:0"
        assert await asyncio.gather(*rest[1:]) == [b"0:1"] * 49, "none is told what was so before he asked"
        assert await other == b"7:1"
        assert made.begun == [0, 7, 0]
        assert (made._made, made._next) == ({}, {})

    asyncio.run(work())


def test_who_shares_an_answer_shares_its_failure() -> None:
    async def work() -> None:
        made = Made()
        made.away = True
        asked = [asyncio.create_task(made.after(0)) for _ in range(20)]
        await _settled()
        made.gate.set()
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(one) for one in told] == [Unavailable] * 20
        made.away = False
        assert await made.after(0) == b"0:0"
        assert made.begun == [0, 0]

    asyncio.run(work())
