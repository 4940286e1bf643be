"""The pool is bounded, the unknown cost what the known do, new passwords follow one rule."""

from __future__ import annotations

import asyncio
import os
import sys
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


@pytest.mark.parametrize(("pace", "admitted"), [(0.025, 33), (0.25, 6)])
def test_no_address_keeps_everybody_else_out(monkeypatch: pytest.MonkeyPatch, pace: float, admitted: int) -> None:
    """However slow a hash is on a busy machine: a flood from one address takes a part of the room, not all of it."""
    held = threading.Event()
    monkeypatch.setattr(passwords, "_verify", lambda stored, password: held.wait(10))
    monkeypatch.setattr(passwords, "_FIRST_PACE", pace)

    async def walk() -> tuple[list[object], bool, int, int]:
        pool = PasswordPool(threads=1, patience=5)
        flood = [asyncio.create_task(pool.verify("x", "y", who="198.51.100.7")) for _ in range(200)]
        await asyncio.sleep(0)
        turned_away = pool.full("198.51.100.7")
        other = asyncio.create_task(pool.verify("x", "y", who="203.0.113.9"))
        await asyncio.sleep(0)
        held.set()
        results = await asyncio.gather(*flood, return_exceptions=True)
        served = await other
        again = pool.full("198.51.100.7")
        pool.close()
        return list(results), served, turned_away, again

    results, served, turned_away, again = asyncio.run(walk())
    assert served
    assert sum(result is True for result in results) == admitted
    assert turned_away >= 2
    assert again == 0, "what has been answered counts no more"


def test_who_has_waited_long_enough_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(passwords, "_verify", lambda stored, password: held.wait(10))

    async def walk() -> tuple[bool, float, bool]:
        pool = PasswordPool(patience=0.1)
        first = asyncio.create_task(pool.verify("x", "y"))
        await asyncio.sleep(0)
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            await pool.verify("x", "y")
        waited = time.monotonic() - begun
        held.set()
        served = await first
        again = await pool.verify("x", "y")
        pool.close()
        return served, waited, again

    served, waited, again = asyncio.run(walk())
    assert served, "whose turn had come is served, however long it took"
    assert 0.1 <= waited < 5
    assert again, "there is room again"


def test_on_a_busy_machine_fewer_may_wait_and_each_is_told_another_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, drawn = [0.0], iter([0.0, 0.5, 0.999])

    def takes_two_seconds(stored: str, password: str) -> bool:
        now[0] += 2.0
        return True

    monkeypatch.setattr(passwords, "_verify", takes_two_seconds)

    async def walk() -> tuple[list[int], int]:
        pool = PasswordPool(patience=5.0, monotonic=lambda: now[0], fraction=lambda: next(drawn))
        for _ in range(40):
            await pool.verify("x", "y")
        tries = [asyncio.create_task(pool.verify("x", "y")) for _ in range(6)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        pool.close()
        shed = [one.retry_after for one in results if isinstance(one, Unavailable)]
        return shed, sum(one is True for one in results)

    shed, served = asyncio.run(walk())
    assert served == 3, "the fourth would wait for six seconds"
    assert shed[0] == 2 < shed[1] < shed[2] <= 60


@pytest.mark.skipif(sys.platform != "linux", reason="a priority for each thread")
def test_hashing_gives_way_and_lets_go_of_the_interpreter() -> None:
    async def walk() -> tuple[int, int]:
        pool = PasswordPool()
        nice = await pool._run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        ticks, hashing = 0, asyncio.create_task(pool.hash(GOOD))
        while not hashing.done():
            ticks += 1
            await asyncio.sleep(0)
        pool.close()
        return nice, ticks

    nice, ticks = asyncio.run(walk())
    assert nice == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    assert ticks > 100, "the loop turns while a thread hashes"


def test_the_cores_are_shared_out() -> None:
    assert [passwords.threads_for(*each) for each in ((1, 1), (2, 1), (2, 2), (8, 1), (8, 2), (8, 4))] == [
        1, 1, 1, 7, 3, 1,
    ]  # fmt: skip


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
