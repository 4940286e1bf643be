"""Passwords: argon2id 19 MiB, t=2, p=1 (OWASP), in a bounded pool, and the one rule for new ones (NIST SP 800-63B).

A hash takes 20 ms of one core and 19 MiB. Without a bound, a flood of sign-ins would be a flood of memory, and every
other request would wait for a core: so few hash at once, they give way to everything else that wants to run, and who
would have to wait too long is told 503 and when to come back.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Protocol, TypeVar
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from bartizan.auth.crowding import Demand
from bartizan.protocol.refusal import Unavailable

T = TypeVar("T")

SHORTEST = 12
LONGEST = 256

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)

# Of a password that nobody has: verified for unknown users, so that they cost what known ones do.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$7eKq5V5x9uvWUwTG/2vYRg$eNNTlloHSAdNBVPV4rVD1Au0l4ACzbzapIb4tg73cdA"
_TODAYS = _NOBODY[: _NOBODY.index("p=1$") + 4]


POOL = "the password pool"
# What waits is some kilobytes, what hashes is 19 MiB. On two idle cores so many take three seconds.
WAITING = 128
PATIENCE = 5.0  # seconds: a person who has waited so long is told, rather than served later
# Of that room no address takes more than one part of so many, or a single one could keep everybody out; two it may.
_PARTS, _ANYWAY = 4, 2
_SOONEST, _LATEST = 2, 60  # seconds of Retry-After
_FIRST_PACE = 0.025  # seconds a hash, until some were made
_NICE = 10
# Requests that want less than the first share of a core leave room; from the second on, a thread rests `_REST` times as
# long as it hashed, so that it takes a tenth of a core. Only who comes while others hash can notice.
_QUIET, _BUSY, _REST = 0.4, 0.8, 8.0


class Wanted(Protocol):
    def share(self) -> float:
        """Of a core, since it was asked last."""
        ...


class PasswordPool:
    """`threads` hash at once and `waiting` more may queue, as long as they can be expected to have their turn within
    `patience`; the rest get Unavailable, with a time to come back that is drawn, so that a herd comes back one by one.
    """

    def __init__(
        self,
        threads: int = 1,
        waiting: int = WAITING,
        *,
        patience: float = PATIENCE,
        monotonic: Callable[[], float] = time.monotonic,
        fraction: Callable[[], float] = random.random,
        demand: Callable[[int], Wanted] = Demand,
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2id", initializer=_step_back)
        self._threads = threads
        self._most = threads + waiting
        self._patience = patience
        self._monotonic = monotonic
        self._fraction = fraction
        self._demand = demand
        self._under_way = 0
        self._of: Counter[str] = Counter()  # of these, each address'
        self._own = threading.local()  # of each hashing thread: what it knows of the loop's, and until when it rests
        self._pace = _FIRST_PACE  # seconds that one takes lately: on a busy machine many times what it takes alone
        self._sent_away: deque[float] = deque(maxlen=4096)

    async def hash(self, password: str) -> str:
        return await self._run(lambda: _hasher.hash(_prepared(password)))

    async def verify(self, password_hash: str | None, password: str, *, who: str = "") -> bool:
        """The same work for an unknown user (None) as for a wrong password. `who`: the address that is counted."""
        matched = await self._run(lambda: _verify(password_hash or _NOBODY, password), who)
        return matched and password_hash is not None

    def full(self, who: str = "") -> int:
        """0: come in. Else the seconds after which to come back: asked before a request costs anything else."""
        own = self._of[who] if who else 0
        greedy = own >= _ANYWAY and self._crowded(own * _PARTS)
        return self._again() if greedy or self._crowded(self._under_way) else 0

    def _crowded(self, number: int) -> bool:
        return number >= self._most or number / self._threads * self._pace > self._patience

    async def _run(self, work: Callable[[], T], who: str = "") -> T:
        if again := self.full(who):
            raise Unavailable(POOL, again)
        self._under_way += 1
        self._of[who] += 1
        made = self._pool.submit(self._timed, work, threading.get_native_id())
        late = asyncio.get_running_loop().call_later(self._patience, made.cancel)  # which one that has begun ignores
        try:
            return await asyncio.wrap_future(made)
        except asyncio.CancelledError:
            if _cancelled():
                raise
            raise Unavailable(POOL, self._again()) from None  # its turn has not come
        finally:
            late.cancel()
            made.cancel()  # who asked has gone
            self._under_way -= 1
            self._of[who] -= 1
            if not self._of[who]:
                del self._of[who]

    def _timed(self, work: Callable[[], T], asking: int) -> T:
        """In a thread of the pool. `asking`: the thread whose requests are not to be held up."""
        begun, own = self._monotonic(), self._own
        if not hasattr(own, "demand"):
            own.demand, own.rests_until = self._demand(asking), begun
        if own.rests_until > begun:
            time.sleep(own.rests_until - begun)
        spent = time.thread_time()
        done = work()
        spent, now = time.thread_time() - spent, self._monotonic()
        own.rests_until = now + spent * _rest(own.demand.share())
        self._pace += (now - begun - self._pace) / 8
        return done

    def _again(self) -> int:
        """Somewhere in the time that those who were sent away lately would take, one after the other."""
        now = self._monotonic()
        while self._sent_away and self._sent_away[0] < now - self._patience:
            self._sent_away.popleft()
        self._sent_away.append(now)
        span = self._patience + len(self._sent_away) * self._pace / self._threads
        return min(_SOONEST + math.floor(self._fraction() * span), _LATEST)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _cancelled() -> bool:
    """Whether it is who asked that was cancelled, and not what they wait for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _rest(demand: float) -> float:
    return _REST * min(1.0, max(0.0, (demand - _QUIET) / (_BUSY - _QUIET)))


def threads_for(cores: int, workers: int) -> int:
    """All but one core, shared out among the workers of this machine."""
    return max(1, (cores - 1) // workers)


def _step_back() -> None:
    """Linux has a priority for each thread: a hash then takes what the requests leave of the cores."""
    if sys.platform == "linux":
        me = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, me, min(19, os.getpriority(os.PRIO_PROCESS, me) + _NICE))


def outdated(password_hash: str) -> bool:
    """Made with other parameters than today's: hash it again while the password is at hand."""
    if len(password_hash) == len(_NOBODY) and password_hash.startswith(_TODAYS):
        return False  # as nearly all are, which needs no parsing
    return _hasher.check_needs_rehash(password_hash)


def fault(password: str, *own: str) -> str | None:
    """Why this cannot be a new password, as a sentence, or None. `own`: the name and address it must not simply be."""
    if len(password) < SHORTEST:
        return f"Use at least {SHORTEST} characters. A few words you remember are fine."
    if len(password) > LONGEST:
        return f"Use at most {LONGEST} characters."
    plain = normalize("NFKC", password).casefold().strip()
    squeezed = "".join(plain.split())
    if squeezed in _common() or len(set(squeezed)) < 4 or squeezed in _derived(own):
        return "That one is easy to guess. Choose words that only you would put together."
    return None


def _derived(own: tuple[str, ...]) -> set[str]:
    words = {"".join(normalize("NFKC", word).casefold().split()) for word in own if word}
    words |= {word.partition("@")[0] for word in words}
    return {word * times for word in words for times in (1, 2, 3)} | {word + tail for word in words for tail in _TAILS}


_TAILS = ("123", "1234", "12345", "123456", "password", "passwort", "!", "1", "2026")


@cache
def _common() -> frozenset[str]:
    """The list holds only what is long enough to pass the first rule."""
    text = (Path(__file__).parent / "common-passwords.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def _prepared(password: str) -> str:
    """NFKC (SP 800-63B §3.1.1.2): two keyboards may spell one letter differently."""
    return normalize("NFKC", password)


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, _prepared(password))
    except (VerificationError, InvalidHashError):
        return False
