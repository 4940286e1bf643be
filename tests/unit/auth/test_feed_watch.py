"""F§7: who waits at the feed costs next to nothing, however much has ended: anybody may wait there."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from bartizan.auth.endpoints import ended
from bartizan.auth.endpoints.ended import Watch
from bartizan.model.ended import EndedPage

_NOW = 1_893_456_000


class _Counted(dict[str, int]):
    walked = 0

    def values(self) -> Any:
        self.walked += 1
        return super().values()


def _watch(monkeypatch: pytest.MonkeyPatch, *gids: str) -> Watch:
    async def looked(watch: Watch) -> None:
        """A moment ago."""

    monkeypatch.setattr(Watch, "_look", looked)
    monkeypatch.setattr(ended, "LONGEST_WAIT", 0.3)
    monkeypatch.setattr(ended, "LOOK_EVERY", 0.01)
    watch = Watch(cast(Any, None))
    watch._remember(EndedPage(gids=gids, cursor=_NOW, now=_NOW, kids=("a",)))
    return watch


def test_who_waits_walks_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = _watch(monkeypatch, "g1", "g2")
    counted = watch._first_seen = _Counted(watch._first_seen)

    async def crowd() -> None:
        await asyncio.gather(*(watch.until_new(_NOW + 1) for _ in range(100)))

    asyncio.run(crowd())
    assert counted.walked == 0


def test_what_is_new_is_told_at_once_and_is_new_once(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = _watch(monkeypatch, "g1")

    async def seconds(after: int) -> float:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await watch.until_new(after)
        return loop.time() - begun

    assert asyncio.run(seconds(_NOW - 1)) < 0.29
    assert asyncio.run(seconds(_NOW + 1)) >= 0.29
    watch._remember(EndedPage(gids=("g1", "g2"), cursor=_NOW + 5, now=_NOW + 5, kids=("a",)))
    assert asyncio.run(seconds(_NOW + 1)) < 0.29, "a gid seen first"
    watch._remember(EndedPage(gids=(), cursor=_NOW + 9, now=_NOW + 9, kids=("b",)))
    assert asyncio.run(seconds(_NOW + 6)) < 0.29, "another key"
