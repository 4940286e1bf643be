"""A paced errand keeps its times whatever the server does; and what a pair comes to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from benchmarks.rows.two_workers import Paced
from benchmarks.wire import Answer

OK = Answer(200, b"", b"")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Errand:
    """Of as many requests a unit as `steps` says; what is bad is told by None."""

    def __init__(self, steps: int = 1) -> None:
        self.fresh = True
        self._steps = steps
        self._at = 0

    def begin(self) -> bytes:
        self._at, self.fresh = 0, True
        return b"begin"

    def next_request(self, answer: Answer) -> bytes | None:
        if answer.status != 200:
            return None
        self._at = (self._at + 1) % self._steps
        self.fresh = self._at == 0
        return b"next"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def paced(clock: Callable[[], float], steps: int = 1) -> Paced:
    made = Paced(Errand(steps), interval=0.5, first=0.2, clock=clock)
    made.begin()
    return made


def test_units_begin_at_their_times_and_not_so_long_after_the_last_answer(clock: Clock) -> None:
    errand = paced(clock)
    errand.next_request(OK)
    assert errand.pause == pytest.approx(0.2), "the first are spread"
    clock.now += 0.2 + 0.3  # it was sent then, and took 0.3
    errand.next_request(OK)
    assert errand.pause == pytest.approx(0.2)


def test_a_late_server_is_caught_up_with(clock: Clock) -> None:
    errand = paced(clock)
    errand.next_request(OK)
    clock.now += 1.6  # due at 0.2, 0.7, 1.2, 1.7
    pauses = []
    for _ in range(3):
        errand.next_request(OK)
        pauses.append(errand.pause)
    assert pauses == [0.0, 0.0, pytest.approx(0.1)]


def test_within_a_unit_nobody_waits(clock: Clock) -> None:
    errand = paced(clock, steps=2)
    errand.next_request(OK)
    assert (errand.pause, errand.fresh) == (0.0, False)
    errand.next_request(OK)
    assert errand.fresh
    assert errand.pause == pytest.approx(0.2)


def test_a_bad_answer_stays_bad(clock: Clock) -> None:
    assert paced(clock).next_request(Answer(500, b"", b"")) is None
