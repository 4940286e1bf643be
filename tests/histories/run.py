"""Security requirements §6: calls on two nodes over one PostgreSQL, kill -9 in between, and the verdict on them.

The seed decides what every holder does and when a node dies; how the calls meet is the machine's doing.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import uvloop
from msgspec import Struct
from tests.fixtures.nodes import House, Node
from tests.histories.calls import Call, Kind, save
from tests.histories.model import Standing, outcomes
from tests.histories.plant import Grant, authorization, plant
from tests.histories.play import Book, Holder, Known
from tests.histories.search import Verdict, search

from bartizan.protocol.oauth import refresh
from bartizan.protocol.secrets import Ring

HOLDERS = 3  # of each grant
AT_ONCE = 20  # grants
STEPS = 20  # of each holder
LINGER = 10.6  # seconds: longer than the grace


class Settings(Struct, frozen=True, kw_only=True):
    calls: int
    seed: int
    kills: int = 0
    linger: bool = False  # some holders come back after the grace: late retries
    seconds: float = 0.0  # play on at least so long


Disaster = Callable[[Book], Awaitable[None]]


class History(Struct, frozen=True, kw_only=True):
    settings: Settings
    calls: list[Call]
    faults: list[str]
    answers: Counter[str]
    grants: dict[int, Grant]
    kills: int
    seconds: float


class Report(Struct, frozen=True, kw_only=True):
    verdicts: dict[int, Verdict]

    @property
    def wrong(self) -> dict[int, Verdict]:
        return {number: one for number, one in self.verdicts.items() if one.linearizable is not True}

    @property
    def longest(self) -> int:
        return max((one.looked_at for one in self.verdicts.values()), default=0)


def record(site: House, nodes: list[Node], settings: Settings, disaster: Disaster | None = None) -> History:
    """The nodes are ready. One that is killed is started again as it was; `disaster` happens beside the calls."""
    grants = plant(site, max(40, settings.calls // 12) + int(settings.seconds * 60))
    ring = site.ring().purpose(refresh.PURPOSE)
    headers = {client: authorization(site, client) for client in ("app", "shop")}
    stage = _Stage(settings, nodes, ring, headers)
    begun = time.monotonic()
    uvloop.run(stage.play(iter(grants), disaster))
    return History(
        settings=settings,
        calls=stage.book.calls,
        faults=stage.book.faults,
        answers=stage.book.answers,
        grants={grant.number: grant for grant in grants},
        kills=stage.kills,
        seconds=time.monotonic() - begun,
    )


class _Stage:
    def __init__(self, settings: Settings, nodes: list[Node], ring: Ring, headers: dict[str, dict[str, str]]) -> None:
        self._settings = settings
        self._nodes = nodes
        self._ring = ring
        self._headers = headers
        self._lingering: list[asyncio.Task[None]] = []
        self.book = Book()
        self.kills = 0

    async def play(self, grants: Iterator[Grant], disaster: Disaster | None) -> None:
        beside = [asyncio.create_task(self._kill())]
        if disaster is not None:
            beside.append(asyncio.ensure_future(disaster(self.book)))
        until = time.monotonic() + self._settings.seconds
        await asyncio.gather(*(self._players(grants, until) for _ in range(AT_ONCE)))
        await asyncio.gather(*self._lingering, *beside)

    async def _players(self, grants: Iterator[Grant], until: float) -> None:
        for grant in grants:
            if len(self.book.calls) >= self._settings.calls and time.monotonic() >= until:
                return
            known = Known(grant.token)
            await self._meet(grant, known, 0)
            if self._settings.linger and grant.number % 20 == 0 and not known.over:
                self._lingering.append(asyncio.create_task(self._come_back(grant, known)))

    async def _meet(self, grant: Grant, known: Known, again: int) -> None:
        headers = self._headers[grant.client]
        dice = [random.Random(f"{self._settings.seed}:{grant.number}:{one}:{again}") for one in range(HOLDERS)]
        holders = [Holder(grant, known, self._nodes, self.book, one) for one in dice]
        await asyncio.gather(
            *(
                holder.play(STEPS, first=one == 0, headers=headers, ring=self._ring)
                for one, holder in enumerate(holders)
            )
        )

    async def _come_back(self, grant: Grant, known: Known) -> None:
        for again in (1, 2, 3):
            await asyncio.sleep(LINGER)
            await self._meet(grant, known, again)

    async def _kill(self) -> None:
        dice = random.Random(f"{self._settings.seed}:kills")
        for one in range(self._settings.kills):
            await self.book.reaches(self._settings.calls * (one + 0.5) / self._settings.kills)
            node = self._nodes[one % len(self._nodes)]
            await asyncio.to_thread(node.kill)
            self.kills += 1
            await asyncio.sleep(dice.random() * 0.3)
            await asyncio.to_thread(node.start)


def check(history: History) -> Report:
    of: dict[int, list[Call]] = {}
    for call in history.calls:
        of.setdefault(call.grant, []).append(call)
    return Report(
        verdicts={number: search(calls, _start(history.grants[number]), outcomes) for number, calls in of.items()}
    )


def _start(grant: Grant) -> Standing:
    return Standing(bff=grant.bff, spent=not grant.code)


async def lost(url: str, history: History) -> list[str]:
    """I1 and I4 by the rows: what was acknowledged is there, and what was ended has ended and is listed."""
    connection = await asyncpg.connect(url)  # type: ignore[no-untyped-call]  # theirs
    try:
        rows = {row["id"]: row for row in await connection.fetch(_FAMILIES)}
        bought = {row["session_id"]: row["family_id"] for row in await connection.fetch(_BOUGHT)}
    finally:
        await connection.close()
    missing = []
    for call in history.calls:
        grant = history.grants[call.grant]
        family: UUID | None = bought.get(grant.session) if grant.code else grant.family
        row = rows.get(family) if family else None
        if not call.known:
            continue
        if call.kind in (Kind.REFRESH, Kind.REDEEM) and call.said and (row is None or row["generation"] < call.said):
            missing.append(f"{call}: acknowledged, and not in the row")
        if call.kind in (Kind.REVOKE, Kind.LOGOUT) and row is not None and not row["ended"]:
            missing.append(f"{call}: ended, and not in the rows")
    return missing


_FAMILIES = """
    SELECT id, generation, ended_at IS NOT NULL AND EXISTS (SELECT FROM ended WHERE gid = id) AS ended FROM families
"""
_BOUGHT = "SELECT session_id, family_id FROM codes WHERE spent_at IS NOT NULL"


def told(history: History, report: Report) -> str:
    """The summary, a line each."""
    unknown = sum(not call.known for call in history.calls)
    verdict = "linearizable" if not report.wrong else f"NOT linearizable: grants {sorted(report.wrong)[:10]}"
    pace = f"{history.seconds:.1f} s ({len(history.calls) / history.seconds:.0f}/s)"
    lines = [
        f"seed {history.settings.seed}: {len(history.calls)} calls in {pace}, {history.kills} kills",
        f"  {unknown:7d}  of unknown outcome",
        *(f"  {number:7d}  {what}" for what, number in sorted(history.answers.items())),
        f"{len(report.verdicts)} grants checked, longest search {report.longest} situations: {verdict}",
    ]
    lines += [f"FAULT {one}" for one in history.faults[:10]]
    for number, one in list(report.wrong.items())[:2]:
        lines.append(f"grant {number} ({'given up' if one.linearizable is None else 'no order fits'}), what was left:")
        lines += [f"    {call}" for call in one.stuck[:12]]
    return "\n".join(lines)


def keep(history: History) -> Path:
    """One line a call, for `calls.load`."""
    named = os.environ.get("BARTIZAN_HISTORY_OUT")
    path = Path(named) if named else Path(tempfile.gettempdir()) / f"bartizan-history-{history.settings.seed}.jsonl"
    save(path, history.calls)
    return path


def seed() -> int:
    """From BARTIZAN_HISTORY_SEED, to replay; else a new one."""
    given = os.environ.get("BARTIZAN_HISTORY_SEED")
    return int(given) if given else int.from_bytes(os.urandom(4))
