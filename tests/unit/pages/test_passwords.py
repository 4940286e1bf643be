"""The pool is bounded, the unknown cost what the known do, new passwords follow one rule."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from bartizan.auth import passwords
from bartizan.auth.passwords import PasswordPool
from bartizan.protocol.refusal import Unavailable

GOOD = "walks home in the rain"


def test_a_hash_names_its_parameters_and_verifies() -> None:
    async def walk() -> None:
        pool = PasswordPool()
        stored = await pool.hash(GOOD)
        assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert await pool.verify(stored, GOOD)
        assert not await pool.verify(stored, GOOD + " ")
        assert not await pool.verify(None, GOOD)
        assert not await pool.verify("rubbish", GOOD)
        assert not passwords.outdated(stored)
        assert passwords.outdated(stored.replace("t=2", "t=1"))
        pool.close()

    asyncio.run(walk())


def test_two_spellings_of_one_letter_are_one_password() -> None:
    async def walk() -> None:
        pool = PasswordPool()
        assert await pool.verify(await pool.hash("caf\u00e9 under the elms"), "cafe\u0301 under the elms")
        pool.close()

    asyncio.run(walk())


def test_the_unknown_cost_what_the_known_do() -> None:
    async def seconds(pool: PasswordPool, stored: str | None) -> float:
        taken = []
        for _ in range(5):
            begun = time.thread_time_ns(), time.perf_counter()
            await pool.verify(stored, "not the password")
            taken.append(time.perf_counter() - begun[1])
        return min(taken)

    async def walk() -> tuple[float, float]:
        pool = PasswordPool(threads=1)
        stored = await pool.hash(GOOD)
        try:
            return await seconds(pool, stored), await seconds(pool, None)
        finally:
            pool.close()

    known, unknown = asyncio.run(walk())
    assert unknown > known / 2, "the hash was left out"


def test_who_would_wait_too_long_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(passwords, "_verify", lambda stored, password: held.wait(10))

    async def walk() -> list[object]:
        pool = PasswordPool(threads=1, waiting=2)
        tries = [asyncio.create_task(pool.verify("x", "y")) for _ in range(5)]
        await asyncio.sleep(0)
        held.set()
        results = await asyncio.gather(*tries, return_exceptions=True)
        pool.close()
        return list(results)

    results = asyncio.run(walk())
    assert [isinstance(result, Unavailable) for result in results] == [False, False, False, True, True]


@pytest.mark.parametrize(
    "password",
    [
        "", "eleven char", "x" * 257, "password1234", "PassWord1234", "pass word 1234", "1234567890123", "abababababab",
        "Ada Lovelace 123", "ada@example.test", "bartizanbartizan", "Ｐａｓｓｗｏｒｄ１２３４",
    ],
)  # fmt: skip
def test_what_is_no_new_password(password: str) -> None:
    assert passwords.fault(password, "Ada Lovelace", "ada@example.test", "Bartizan")


@pytest.mark.parametrize("password", [GOOD, "x" * 5 + "yz3" * 80, "correct horse battery elephant", "żółć gęślą jaźń"])
def test_what_is_one(password: str) -> None:
    assert passwords.fault(password, "Ada Lovelace", "ada@example.test", "Bartizan") is None


def test_the_list_holds_only_what_the_first_rule_lets_through() -> None:
    assert all(len(word) >= passwords.SHORTEST for word in passwords._common())
