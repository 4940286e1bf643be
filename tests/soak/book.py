"""What a run knows: what was answered, what was wrong by which invariant, and which secrets must be nowhere.

Shared by all threads of the run.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

# Named as in security requirements §6; the last ones are the product's own promises.
CHECKS = {
    "I1": "every acknowledged write is there",
    "I2": "what is for a single use was used once",
    "I3": "nothing fails open: without a right no 2xx",
    "I4": "what was ended is refused: at once by the auth server, within 2 s by the gateway",
    "I5": "one effect of each acknowledged upload",
    "I6": "each unexpired access token verifies with a published key",
    "I7": "no code and no family without its audit row",
    "I8": "no secret of the run in logs, rows, cache, files, command lines",
    "I9": "recovered within 10 s of each fault; readiness tells the truth",
    "I10": "nobody is signed out: each honest session lives until something ends it",
    "linearizable": "each recorded history fits the table of flows §6",
    "answers": "only 503 and 429 with Retry-After or a broken connection, and only around a fault; never another 5xx",
    "flat": "memory, descriptors, threads, tables, WAL, logs and temporary files do not grow",
    "clean": "no process, socket or failed task is left behind",
}
AROUND = 3.0  # seconds after a recovery in which an answer may still be one of the fault's
KEPT = 20  # sentences of each check


class Away(Exception):  # noqa: N818 - no error: the server is away or busy and says so
    """Try again later."""


class Fault(Struct):
    name: str
    begun: float
    over: float | None = None  # when it had recovered


class Book:
    def __init__(self) -> None:
        self.began = time.monotonic()
        self.looked: Counter[str] = Counter()
        self.wrong: dict[str, list[str]] = {name: [] for name in CHECKS}
        self.answers: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.secrets: set[str] = set()
        self.tokens: deque[str] = deque(maxlen=400)  # access tokens, the newest
        self.older: deque[str] = deque(maxlen=400)  # every 25th: some of them are about to expire
        self.over = threading.Event()
        self._lock = threading.Lock()

    @property
    def now(self) -> float:
        return time.monotonic() - self.began

    def look(self, check: str, fine: bool, wrong: str) -> bool:
        """One look; `wrong` is the sentence if it is not fine."""
        with self._lock:
            self.looked[check] += 1
            if not fine and len(self.wrong[check]) < KEPT:
                self.wrong[check].append(f"{self.now:.1f} s: {wrong}")
        return fine

    def answer(self, what: str, status: int, *, retry: bool, begun: float, expected: tuple[int, ...]) -> None:
        """Raises Away for one that says to come again. `begun`: when it was asked, by this book."""
        with self._lock:
            self.answers[f"{what} {status or 'broken'}"] += 1
        if status in (0, 429, 503):
            self.look("answers", retry or status == 0, f"{what}: {status} without Retry-After")
            if status != 429:
                self.look("answers", self.excused(begun), f"{what}: {status or 'broken'}, and nothing was hurt")
            raise Away
        if not self.look("answers", status in expected, f"{what}: {status}, not one of {expected}"):
            raise Away

    def excused(self, begun: float) -> bool:
        """Was anything hurt between `begun` and now, or just before?"""
        return any(fault.over is None or fault.over + AROUND >= begun for fault in self.faults)

    @contextmanager
    def fault(self, name: str) -> Iterator[Fault]:
        """One that is under way; it is over when the block ends."""
        made = Fault(name, self.now)
        self.faults.append(made)
        try:
            yield made
        finally:
            made.over = self.now

    def secret(self, *texts: str) -> None:
        """Of a JWT the signature: the rest is no secret by itself, and the run makes many."""
        kept = {text.rpartition(".")[2] if text.startswith("eyJ") else text for text in texts if len(text) >= 16}
        with self._lock:
            self.secrets |= kept

    def token(self, access: str) -> None:
        self.secret(access)
        self.tokens.append(access)
        if self.answers.total() % 25 == 0:
            self.older.append(access)

    @property
    def failures(self) -> int:
        return sum(map(len, self.wrong.values()))
