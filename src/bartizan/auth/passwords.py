"""Passwords: argon2id 19 MiB, t=2, p=1 (OWASP), in a bounded pool, and the one rule for new ones (NIST SP 800-63B).

A hash takes 20 ms of one core and 19 MiB. Without a bound, a flood of sign-ins would be a flood of memory: who would
have to wait too long is told 503 at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from bartizan.protocol.refusal import Unavailable

T = TypeVar("T")

SHORTEST = 12
LONGEST = 256

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)

# Of a password that nobody has: verified for unknown users, so that they cost what known ones do.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$7eKq5V5x9uvWUwTG/2vYRg$eNNTlloHSAdNBVPV4rVD1Au0l4ACzbzapIb4tg73cdA"


class PasswordPool:
    """`threads` hash at once, `waiting` more may queue; the rest get Unavailable."""

    def __init__(self, threads: int = 2, waiting: int = 32) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2id")
        self._most = threads + waiting
        self._under_way = 0

    async def hash(self, password: str) -> str:
        return await self._run(lambda: _hasher.hash(_prepared(password)))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """The same work for an unknown user (None) as for a wrong password."""
        matched = await self._run(lambda: _verify(password_hash or _NOBODY, password))
        return matched and password_hash is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._under_way >= self._most:
            raise Unavailable("the password pool", 2)
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._under_way -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def outdated(password_hash: str) -> bool:
    """Made with other parameters than today's: hash it again while the password is at hand."""
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
