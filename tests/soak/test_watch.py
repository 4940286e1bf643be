"""The verdicts of a soak: a leak is found in ten minutes, and what only trembles is none."""

from __future__ import annotations

import random
from itertools import islice

import pytest
from tests.soak import plan, watch
from tests.soak.book import Away, Book
from tests.soak.house import SERVERS

MEGABYTE = 1_000_000.0


def series(minutes: float, a_minute: float, *, size: float = 90 * MEGABYTE, seed: int = 1) -> list[tuple[float, float]]:
    """Readings that tremble by 1 %, a tenth of them by 20 % (a fault, a burst), and grow by this share."""
    dice = random.Random(seed)
    found = []
    for at in range(0, int(minutes * 60), 2):
        trembling = dice.gauss(0, 0.01) + (0.2 if dice.random() < 0.1 else 0.0)
        found.append((float(at), size * (1 + a_minute * at / 60 + trembling)))
    return found


def grows(readings: list[tuple[float, float]]) -> bool:
    verdict = watch.judged("it", readings, MEGABYTE)
    assert verdict is not None
    return verdict.grows


@pytest.mark.parametrize("seed", range(10))
def test_one_percent_a_minute_is_found_in_what_ten_minutes_watch(seed: int) -> None:
    assert grows(series(5.3, 0.01, seed=seed))
    assert not grows(series(5.3, 0.0, seed=seed))


@pytest.mark.parametrize("seed", range(10))
def test_three_minutes_find_eight_percent_and_call_no_filling_up_a_leak(seed: int) -> None:
    assert grows(series(2.4, 0.08, seed=seed))
    assert not grows(series(2.4, 0.02, seed=seed))


def test_a_small_process_may_take_a_megabyte() -> None:
    assert not grows(series(5.3, 0.01, size=10 * MEGABYTE))


def test_what_was_watched_too_shortly_has_no_verdict() -> None:
    assert watch.judged("it", series(0.5, 0.1), MEGABYTE) is None


def test_a_plan_kills_everybody_first_and_nobody_later() -> None:
    first = list(islice(plan.planned(7, 600), 80))
    assert first == list(islice(plan.planned(7, 600), 80))
    assert first != list(islice(plan.planned(8, 600), 80))
    killed = {planned.what for at, planned in first if at == plan.QUIET}
    assert {f"kill {name}" for name in SERVERS} <= killed
    later = [planned.what for at, planned in first if at > plan.QUIET]
    assert later
    assert not [what for what in later if what.startswith(("kill", "ring", "restart"))]


def test_an_answer_is_excused_by_a_fault_alone_and_only_so_far() -> None:
    book = Book()
    with pytest.raises(Away):
        book.answer("GET /", 503, retry=True, begun=book.now, expected=(200,))
    assert len(book.wrong["answers"]) == 1
    with book.fault("kill web"), pytest.raises(Away):
        book.answer("GET /", 503, retry=True, begun=book.now, expected=(200,))
    assert len(book.wrong["answers"]) == 1
    with book.fault("kill web"), pytest.raises(Away):
        book.answer("GET /", 500, retry=True, begun=book.now, expected=(200,))
    with book.fault("kill web"), pytest.raises(Away):
        book.answer("GET /", 503, retry=False, begun=book.now, expected=(200,))
    assert len(book.wrong["answers"]) == 3
    book.answer("GET /", 200, retry=False, begun=book.now, expected=(200,))
    assert len(book.wrong["answers"]) == 3
