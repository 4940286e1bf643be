"""X4: PostgreSQL stopped at once, by itself and by kill -9, and started again, under load on two nodes.

Must hold: 503 with Retry-After and nothing else meanwhile; no acknowledged write lost; readiness tells the truth; all
recovers alone within 10 s; the history is linearizable.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from msgspec import Struct
from tests.faults.forms import LONG, rows
from tests.fixtures.nodes import Node, Site
from tests.histories import run
from tests.histories.calls import Kind
from tests.histories.play import Book

from bartizan.stack import proc
from bartizan.stack.home import started

pytestmark = pytest.mark.faults

STOPS = 8 if LONG else 2  # by turns at once and by kill -9
WITHIN = 10.0

MUTANTS = {
    "a commit does not wait for the disk": {
        "module": "bartizan.database.store",
        "before": '"jit": "off",',
        "after": '"jit": "off", "synchronous_commit": "off",',
    },
    "a lost connection is not told apart": {
        "module": "bartizan.database.connection",
        "before": "    if isinstance(error, AWAY):",
        "after": "    if isinstance(error, ZeroDivisionError):",
    },
}


class Outage(Struct):
    down: float
    up: float = 0.0
    unready: float = 0.0  # seconds until every node said so
    ready: float = 0.0  # seconds after the start until every node said so


def immediately(site: Site) -> None:
    """As `pg_ctl stop -m immediate`."""
    os.kill(site.postgres.pid, signal.SIGQUIT)
    site.postgres.stop()


def killed(site: Site) -> None:
    """Its children see the closed pipe, a moment later; a new server does not start beside them."""
    left = proc.tree([site.postgres.pid])[site.postgres.pid]
    site.postgres.kill()
    end = time.monotonic() + 5
    while any(started(pid) for pid in left):
        assert time.monotonic() < end, "a child of the killed server lives"
        time.sleep(0.01)


async def when(condition: Callable[[], bool], seconds: float) -> float:
    begun = time.monotonic()
    while not await asyncio.to_thread(condition):
        assert time.monotonic() - begun < seconds, "it did not come true"
        await asyncio.sleep(0.05)
    return time.monotonic() - begun


def outages(site: Site, nodes: list[Node], stops: int, seen: list[Outage]) -> Callable[[Book], object]:
    async def disaster(book: Book) -> None:
        for one in range(stops):
            await more(book)
            refused = book.answers["refresh: 503"]
            seen.append(Outage(time.monotonic()))
            await asyncio.to_thread((immediately, killed)[one % 2], site)
            seen[-1].unready = await when(lambda: not any(node.ready() for node in nodes), 5)
            await when(partial(refused_more, book, refused), 5)
            await asyncio.to_thread(site.postgres.start)
            seen[-1].up = time.monotonic()
            seen[-1].ready = await when(lambda: all(node.ready() for node in nodes), WITHIN)
        await more(book)

    return disaster


def refused_more(book: Book, often: int) -> bool:
    return book.answers["refresh: 503"] > often


async def more(book: Book, calls: int = 150, seconds: float = 2.0) -> None:
    """Until so many more calls are through; or the play is over, which a slow machine may be late for."""
    with suppress(TimeoutError):
        await asyncio.wait_for(book.reaches(len(book.calls) + calls), seconds)


def played(site: Site, stops: int, *mutant: dict[str, str]) -> tuple[run.History, list[Outage], list[str]]:
    nodes = site.two(*mutant)
    seen: list[Outage] = []
    settings = run.Settings(calls=400, seed=run.seed(), seconds=stops * 2.7)
    history = run.record(site, nodes, settings, outages(site, nodes, stops, seen))  # type: ignore[arg-type]  # a coroutine
    missing = asyncio.run(run.lost(site.url, history))
    for node in nodes:
        node.kill()
    return history, seen, missing


def test_a_database_that_stops_at_once_loses_nothing_and_all_comes_back_alone(nodes_site: Site) -> None:
    history, seen, missing = played(nodes_site, STOPS)
    report = run.check(history)
    told = f"{run.told(history, report)}\n{seen}"
    print(told)
    assert not history.faults, told
    assert missing == [], told
    assert not report.wrong, f"{told}\n{run.keep(history)}"
    statuses = {what.rpartition(": ")[2] for what in history.answers}
    assert statuses <= {"done", "refused", "503"}, told  # no connection broke
    assert history.answers["refresh: 503"], told
    for outage in seen:
        assert first_rotation_after(history, outage.up) < WITHIN, told
        assert outage.unready < 3, told


def first_rotation_after(history: run.History, moment: float) -> float:
    return min(
        call.latest - moment
        for call in history.calls
        if call.kind is Kind.REFRESH and call.known and call.said and call.invoked > moment
    )


@pytest.mark.parametrize("mutant", rows(MUTANTS))
def test_without_the_protection_it_is_seen(nodes_site: Site, mutant: str) -> None:
    history, _, missing = played(nodes_site, 1, MUTANTS[mutant])
    assert history.faults or missing or run.check(history).wrong
