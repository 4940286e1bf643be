"""One run: the stack, everybody at once, faults between, and the verdict. The seed decides who does what in which
order; how it all meets is the machine's doing.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from asyncpg.exceptions import PostgresError
from msgspec import Struct
from tests.faults.steps import people
from tests.soak import ending, house, plan
from tests.soak.book import CHECKS, Away, Book
from tests.soak.clients import Chains, Histories, Machine, Verifier
from tests.soak.faults import Faults, Injected
from tests.soak.filling import Filling
from tests.soak.house import House
from tests.soak.people import SOON, Person
from tests.soak.watch import Verdict, Watch

SHORT = 60.0  # a run below this is a short form: fewer people, four faults
_LINE = 5.0  # seconds between two lines of progress
_TABLES = 10.0
_JOIN = 60.0


class Settings(Struct, frozen=True, kw_only=True):
    seconds: float
    seed: int
    summary: Path | None = None  # where it was asked for

    @property
    def kept(self) -> Path:
        """The summary of one that failed; its logs and events lie beside it."""
        return self.summary or Path(tempfile.gettempdir(), f"bartizan-soak-{self.seed}.json")

    @property
    def short(self) -> bool:
        return self.seconds < SHORT

    @property
    def replay(self) -> str:
        return f"python -m tests.soak --minutes {self.seconds / 60:g} --seed {self.seed}"


class Report(Struct, frozen=True, kw_only=True):
    seed: int
    seconds: float
    replay: str
    fine: bool
    checks: dict[str, dict[str, object]]
    answers: dict[str, int]
    events: list[Injected]
    figures: list[Verdict]
    memory: dict[str, list[tuple[float, float]]]  # by server and process: what the figures were made of
    counts: dict[str, int]


class Soak:
    def __init__(self, at: House, settings: Settings, tell: Callable[[str], None]) -> None:
        seed, few = settings.seed, settings.short
        self._house = at
        self._settings = settings
        self._tell = tell
        self.book = book = Book()
        self._people = [Person(at, book, one, random.Random(f"{seed}:person {one}")) for one in range(3 if few else 8)]
        grantors = people(at, 2 if few else 3)
        machines = [Machine(at, book, who, random.Random(f"{seed}:machine {one}")) for one, who in enumerate(grantors)]
        self._chains = Chains(at, book, 100 if few else 300, random.Random(f"{seed}:chains"))
        self._histories = Histories(at, book, seed)
        self._watch = Watch(at, book)
        cutter = Person(at, book, -1, random.Random(f"{seed}:cutter"))
        self._faults = Faults(at, book, grantors[0], cutter)
        self._verifier = Verifier(at, book, random.Random(f"{seed}:verifier"))
        self._lives: dict[str, Callable[[], None]] = {
            "chains": self._chains.live, "histories": self._histories.live, "verifier": self._verifier.live,
            "watch": self._watch.live, "tables": self._read_tables, "faults": self._hurt,
            **({} if few else {"filling": Filling(at, book).live}),
            **{f"person {one.number}": one.live for one in self._people},
            **{f"machine {one}": machine.live for one, machine in enumerate(machines)},
        }  # fmt: skip

    def run(self) -> None:
        """Everybody, until the time is over or somebody presses Ctrl-C (which passes on)."""
        threads = [threading.Thread(target=self._kept, args=pair, name=pair[0]) for pair in self._lives.items()]
        for thread in threads:
            thread.start()
        try:
            while self.book.now < self._settings.seconds:
                time.sleep(min(_LINE, max(0.0, self._settings.seconds - self.book.now)))
                self._tell(self._progress())
        finally:
            self.book.over.set()
            for thread in threads:
                thread.join(_JOIN)
                self.book.look("clean", not thread.is_alive(), f"{thread.name} does not end")

    def _kept(self, name: str, live: Callable[[], None]) -> None:
        try:
            live()
        except Exception:  # a thread of the run that dies is a failure of the run, and is told
            self.book.look("clean", False, f"{name} died:\n{traceback.format_exc()}")

    def _progress(self) -> str:
        book = self.book
        now = next((fault.name for fault in reversed(book.faults) if fault.over is None), "")
        signed_in = sum(one.signed_in for one in self._people)
        return (
            f"{book.now:6.0f} s  {book.answers.total():7d} answers  {self._histories.calls:6d} calls in histories  "
            f"{len(book.faults):3d} faults  {signed_in}/{len(self._people)} signed in  {book.failures} wrong  {now}"
        )

    def _hurt(self) -> None:
        for earliest, planned in self._plan():
            if self.book.over.wait(max(0.0, earliest - self.book.now)):
                return
            quiet = plan.SHORTLY_QUIET if self._settings.short else plan.QUIET
            if self.book.now > self._settings.seconds - quiet:
                return
            self._faults.inject(planned)
            self.book.over.wait(planned.pause)

    def _plan(self) -> Iterator[tuple[float, plan.Planned]]:
        if self._settings.short:
            yield from ((plan.SHORTLY_QUIET, one) for one in plan.short(self._settings.seed))
        else:
            yield from plan.planned(self._settings.seed, self._settings.seconds)

    def _read_tables(self) -> None:
        while not self.book.over.wait(_TABLES):
            try:
                asyncio.run(self._watch.read_tables())
            except (OSError, PostgresError, TimeoutError):
                continue  # it is away: the next time

    def last_look(self) -> None:
        """Nothing is hurt any more: who was signed in is, what was promised is there."""
        asyncio.run(self._still_there())
        for one in self._people:
            self._politely(one.last_visit)
        time.sleep(SOON)  # the promise
        for one in self._people:
            self._politely(one.try_ended)
        self._verifier.look()
        self._watch.read()
        asyncio.run(self._watch.read_tables())
        planted = self._chains.planted | self._histories.planted
        ending.last_look(self._house, self.book, self._chains, planted)
        self.read = ending.secrets(self._house, self.book)
        self.figures = ending.flat(self.book, self._watch, long_enough=not self._settings.short)

    def _politely(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Away:
            self.book.look("answers", False, "somebody was told to come again, at the end")

    async def _still_there(self) -> None:
        await asyncio.gather(*(self._chains.ask(member) for member in self._chains.members))
        for member in self._chains.members:
            fine = member.refused is None and self.book.now - (member.done_at - self.book.began) < _JOIN
            self.book.look("I10", fine, f"the chain {member.grant.family} does not live at the end")
            member.close()

    def report(self) -> Report:
        book = self.book
        return Report(
            seed=self._settings.seed,
            seconds=round(book.now, 1),
            replay=self._settings.replay,
            fine=not book.failures,
            checks={
                name: {"means": means, "looked": book.looked[name], "wrong": book.wrong[name]}
                for name, means in CHECKS.items()
            },
            answers=dict(sorted(book.answers.items())),
            events=self._faults.events,
            figures=getattr(self, "figures", []),
            memory={
                f"{server} {pid}": [(round(at, 1), value) for at, value in readings]
                for (server, pid, what), readings in sorted(self._watch.series.items())
                if what == "memory"
            },
            counts={
                "answers": book.answers.total(), "history calls": self._histories.calls, "secrets": len(book.secrets),
                "families": len(self._chains.members), "people": len(self._people),
                "rotations of chains": sum(member.rotations for member in self._chains.members),
            },
        )  # fmt: skip


def soak(settings: Settings, tell: Callable[[str], None]) -> Report:
    """Starts the stack, runs, stops it. Raises KeyboardInterrupt after a clean stop."""
    with tempfile.TemporaryDirectory(prefix="bzs-", ignore_cleanup_errors=True) as base:
        at: House | None = None
        pids: set[int] = set()
        try:
            with house.opened(Path(base)) as at:
                run = Soak(at, settings, tell)
                tell(f"{len(run.book.wrong)} checks, everybody is there")
                run.run()
                run.last_look()
                pids = at.all_pids()
        except Exception:  # who stops it by Ctrl-C has seen enough
            if at is not None:
                tell(f"the logs are in {_keep_logs(at, settings)}")
            raise
        ending.clean(at, run.book, pids)
        report = run.report()
        if not report.fine:
            tell(f"the logs are in {_keep_logs(at, settings)}")
        return report


def _keep_logs(at: House, settings: Settings) -> Path:
    """Only of one that failed: beside its summary, where that was asked for."""
    kept = settings.kept.with_suffix(".log")
    with kept.open("w") as out:
        for path in [*sorted((at.data / "logs").glob("*.log")), *at.logs]:
            if path.exists():
                out.write(f"== {path.name}\n{path.read_text(errors='replace')}\n")
    return kept


def told(report: Report) -> str:
    """The summary, for a person."""
    lines = [f"seed {report.seed}, {report.seconds:.0f} s, {len(report.events)} faults"]
    lines += [f"  {number:8d}  {what}" for what, number in report.counts.items()]
    slow = sorted(report.events, key=lambda event: -event.recovered)[:5]
    lines.append("slowest to recover: " + ", ".join(f"{event.what} {event.recovered:.1f} s" for event in slow))
    for figure in report.figures:
        share = figure.slope / figure.last if figure.last else 0.0
        lines.append(
            f"  {figure.what:22} {figure.first:12.0f} → {figure.last:12.0f}  {share:+.2%} a minute"
            f"{'  GROWS' if figure.grows else ''}"
        )
    for name, check in report.checks.items():
        wrong = check["wrong"]
        assert isinstance(wrong, list)
        lines.append(f"{name:12} {check['looked']!s:>8} looks  {len(wrong)} wrong  {check['means']}")
        lines += [f"    WRONG {one}" for one in wrong[:8]]
    return "\n".join(lines)


def write(report: Report, path: Path) -> Path:
    """The summary as JSON, and beside it what was hurt when. Gives where the latter is."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    events = path.with_suffix(".events.jsonl")
    events.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in report.events))
    return events


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
