"""The checker on histories written by hand: it must let through what is right, and only that."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from tests.histories.calls import DONE, REFUSED, Call, Kind, load, save
from tests.histories.model import Standing, outcomes
from tests.histories.search import search

PLANTED = Standing(bff=True, spent=True)
SHOP = Standing(bff=False, spent=True)
CODE = Standing(bff=False, spent=False)


def call(kind: Kind, times: tuple[float, float | None], generation: int = 0, said: int = DONE) -> Call:
    return Call(grant=1, kind=kind, invoked=times[0], returned=times[1], generation=generation, said=said)


def refresh(invoked: float, returned: float | None, generation: int, said: int) -> Call:
    return call(Kind.REFRESH, (invoked, returned), generation, said)


def linearizable(*calls: Call, start: Standing = PLANTED) -> bool | None:
    return search(calls, start, outcomes).linearizable


def runs(number: int, gap: float = 1.0) -> list[Call]:
    """Each generation presented twice, one after the other."""
    calls = []
    for one in range(1, number + 1):
        calls += [
            refresh(one * gap, one * gap + 0.1, one, one + 1),
            refresh(one * gap + 0.2, one * gap + 0.3, one, one + 1),
        ]
    return calls


def runs_once(number: int, gap: float = 1.0) -> list[Call]:
    """A chain of so many rotations."""
    return [refresh(2 * one * gap, (2 * one + 1) * gap, one + 1, one + 2) for one in range(number)]


ALONE = [refresh(0, 1, 1, 2), refresh(14, 15, 2, 3)]  # two rotations that are no burst


GOOD: dict[str, tuple[Standing, list[Call]]] = {
    "nothing": (PLANTED, []),
    "a chain": (PLANTED, [refresh(0, 1, 1, 2), refresh(2, 3, 2, 3), refresh(4, 5, 3, 4)]),
    "twins": (PLANTED, [refresh(0, 3, 1, 2), refresh(1, 2, 1, 2)]),
    "a retry within the grace": (PLANTED, [refresh(0, 1, 1, 2), refresh(5, 6, 1, 2), refresh(7, 8, 2, 3)]),
    "a late retry": (PLANTED, [refresh(0, 1, 1, 2), refresh(50, 51, 1, 2), refresh(52, 53, 2, 3)]),
    "theft ends": (PLANTED, [*ALONE, refresh(20, 21, 1, 0), refresh(22, 23, 3, 0)]),
    "a chain that overlaps the theft": (
        PLANTED, [*ALONE, refresh(20, 25, 1, 0), refresh(21, 22, 3, 4), refresh(26, 27, 4, 0)],
    ),
    "a burst is one step": (PLANTED, [*runs_once(3), refresh(30, 31, 1, 4), refresh(32, 33, 2, 4)]),
    "a burst or not, nobody knows": (
        PLANTED, [refresh(0, 1, 1, 2), refresh(10, 12, 2, 3), refresh(20, 21, 1, 0), refresh(22, 23, 3, 0)],
    ),
    "nor here": (PLANTED, [refresh(0, 1, 1, 2), refresh(10, 12, 2, 3), refresh(20, 21, 1, 3)]),
    "a generation is graced from its own rotation": (PLANTED, [*runs_once(4), refresh(9, 9.5, 1, 5)]),
    "longer ago than a row remembers": (
        PLANTED, [*runs_once(17, 0.2), refresh(9, 9.5, 1, 0), refresh(9.6, 9.8, 18, 0)],
    ),
    "unknown, and it happened": (PLANTED, [refresh(0, None, 1, 0), refresh(2, 3, 2, 3)]),
    "unknown, and it did not": (PLANTED, [refresh(0, None, 1, 0), refresh(2, 3, 1, 2)]),
    "unknown, and it happened late": (
        PLANTED, [call(Kind.REVOKE, (0, None)), refresh(1, 2, 1, 2), refresh(3, 4, 2, 0)],
    ),
    "five graced in a row end another's": (SHOP, [*runs(4, 14), refresh(70, 70.1, 5, 6), refresh(70.2, 70.3, 5, 0)]),
    "a burst is counted once": (SHOP, runs(9)),
    "a rotation in a burst begins no run anew": (
        SHOP, [*runs(4, 14), refresh(70, 70.1, 5, 6), refresh(70.2, 70.3, 6, 7), refresh(70.4, 70.5, 6, 0)],
    ),
    "one that is none does": (
        SHOP, [*runs(4, 14), refresh(70, 70.1, 5, 6), refresh(90, 90.1, 6, 7), refresh(90.2, 90.3, 6, 7)],
    ),
    "three late retries end": (
        PLANTED,
        [
            refresh(0, 1, 1, 2), refresh(20, 21, 1, 2), refresh(22, 23, 1, 2), refresh(24, 25, 2, 3),
            refresh(40, 41, 2, 3), refresh(42, 43, 3, 4), refresh(60, 61, 3, 0), refresh(62, 63, 4, 0),
        ],
    ),
    "grace or late, nobody knows": (
        SHOP, [refresh(0, 3, 1, 2), refresh(11, 14, 1, 2), refresh(15, 16, 2, 3)],
    ),
    "revoked": (PLANTED, [call(Kind.REVOKE, (0, 2)), call(Kind.ASK_REFRESH, (1, 3), 1), refresh(4, 5, 1, 0)]),
    "signed out": (PLANTED, [call(Kind.LOGOUT, (0, 2)), call(Kind.ASK_ACCESS, (3, 4), 1, REFUSED)]),
    "a code, once": (CODE, [call(Kind.REDEEM, (0, 1), 0, 1), refresh(2, 3, 1, 2)]),
    "a code replayed": (
        CODE, [call(Kind.REDEEM, (0, 3), 0, 1), call(Kind.REDEEM, (1, 4), 0, 0), call(Kind.ASK_ACCESS, (5, 6), 1, 0)],
    ),
    "a code after its session": (CODE, [call(Kind.LOGOUT, (0, 1)), call(Kind.REDEEM, (2, 3), 0, 0)]),
    "a code whose buyer died": (
        CODE, [call(Kind.REDEEM, (0, None)), call(Kind.REDEEM, (2, 3), 0, 0)],
    ),
}  # fmt: skip

BAD: dict[str, tuple[Standing, list[Call]]] = {
    "rotated without its generation": (PLANTED, [refresh(0, 1, 1, 2), refresh(2, 3, 1, 3)]),
    "two successors": (PLANTED, [refresh(0, 3, 1, 2), refresh(1, 2, 1, 3)]),
    "refused without a reason": (PLANTED, [refresh(0, 1, 1, 2), refresh(2, 3, 2, 0)]),
    "theft goes on": (PLANTED, [*ALONE, refresh(20, 21, 1, 3)]),
    "lives after theft": (PLANTED, [*ALONE, refresh(20, 21, 1, 0), refresh(22, 23, 3, 4)]),
    "a burst taken for theft": (PLANTED, [*runs_once(3), refresh(30, 31, 1, 0)]),
    "taken for theft within the grace": (PLANTED, [*runs_once(4), refresh(9, 9.5, 1, 0)]),
    "graced with what is no longer newest": (PLANTED, [*runs_once(4), refresh(9, 9.5, 1, 2)]),
    "a lost write": (PLANTED, [refresh(0, 1, 1, 2), refresh(2, 3, 2, 3), refresh(4, 5, 2, 2)]),
    "from the future": (PLANTED, [refresh(0, 1, 2, 3), refresh(2, 3, 1, 2)]),
    "unknown cannot happen before": (PLANTED, [refresh(0, 1, 2, 3), refresh(2, None, 1, 0)]),
    "unknown happens once": (PLANTED, [refresh(0, None, 1, 0), refresh(2, 3, 1, 2), refresh(4, 5, 3, 4)]),
    "revoked, and goes on": (PLANTED, [call(Kind.REVOKE, (0, 1)), refresh(2, 3, 1, 2)]),
    "signed out, and goes on": (PLANTED, [call(Kind.LOGOUT, (0, 1)), refresh(2, 3, 1, 2)]),
    "revoked, and comes back": (
        PLANTED,
        [call(Kind.REVOKE, (0, 9)), call(Kind.ASK_REFRESH, (1, 2), 1, REFUSED), call(Kind.ASK_ACCESS, (3, 4), 1)],
    ),
    "a code twice": (CODE, [call(Kind.REDEEM, (0, 3), 0, 1), call(Kind.REDEEM, (1, 4), 0, 1)]),
    "a replay ends nothing": (
        CODE, [call(Kind.REDEEM, (0, 1), 0, 1), call(Kind.REDEEM, (2, 3), 0, 0), refresh(4, 5, 1, 2)],
    ),
    "a code of an ended session": (CODE, [call(Kind.LOGOUT, (0, 1)), call(Kind.REDEEM, (2, 3), 0, 1)]),
    "six graced in a row": (SHOP, runs(6, 14)),
    "a run begun anew within a burst": (
        SHOP, [*runs(4, 14), refresh(70, 70.1, 5, 6), refresh(70.2, 70.3, 6, 7), refresh(70.4, 70.5, 6, 7)],
    ),
    "late retries without end": (
        PLANTED,
        [
            refresh(0, 1, 1, 2), refresh(20, 21, 1, 2), refresh(22, 23, 2, 3), refresh(40, 41, 2, 3),
            refresh(42, 43, 3, 4), refresh(60, 61, 3, 4),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_the_table_allows_is_let_through(name: str) -> None:
    start, calls = GOOD[name]
    assert linearizable(*calls, start=start) is True


@pytest.mark.parametrize("name", BAD)
def test_what_the_table_forbids_is_found(name: str) -> None:
    start, calls = BAD[name]
    assert linearizable(*calls, start=start) is False


def test_the_calls_that_do_not_fit_are_named() -> None:
    wrong = refresh(4, 5, 2, 7)
    verdict = search([refresh(0, 1, 1, 2), refresh(2, 3, 2, 3), wrong], PLANTED, outcomes)
    assert verdict.stuck == (wrong,)


def test_a_search_that_grows_too_large_says_so() -> None:
    many = [refresh(0, None, one, 0) for one in range(1, 20)]
    wrong = search([*many, refresh(1, 2, 99, 99)], PLANTED, outcomes, most=10)
    assert wrong.linearizable is None


def test_a_thousand_calls_that_nobody_knows_of_are_soon_searched() -> None:
    """As when the database is away and everybody tries again."""
    many = [refresh(one / 100, None, 1 + one % 3, 0) for one in range(1000)]
    verdict = search([*many, refresh(20, 21, 3, 4), refresh(22, 23, 9, 9)], PLANTED, outcomes)
    assert verdict.linearizable is False
    assert verdict.looked_at < 5000


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_machine_does_one_by_one_is_found_linearizable_when_spread(seed: int) -> None:
    """And is no longer when one answer of it is another."""
    dice = random.Random(seed)
    state: Any = PLANTED if dice.random() < 0.5 else SHOP
    start, calls, at = state, [], 0.0
    for _ in range(40):
        at += dice.random()
        kind = dice.choice([Kind.REFRESH] * 8 + [Kind.ASK_REFRESH] * 2 + [Kind.ASK_ACCESS])
        generation = max(1, state.generation - dice.choice([0, 0, 0, 0, 1]))
        now = Call(grant=1, kind=kind, invoked=at, returned=at, generation=generation)
        said, state = dice.choice(list(outcomes(state, now)))
        spread = (at - 0.3 * dice.random(), at + 0.3 * dice.random())
        calls.append(call(kind, spread, generation, said))
    assert linearizable(*calls, start=start) is True
    wrong = dice.randrange(len(calls))
    broken = calls[wrong]
    calls[wrong] = call(broken.kind, (broken.invoked, broken.latest), broken.generation, 99)
    assert linearizable(*calls, start=start) is False


def test_a_history_is_kept_whole(tmp_path: Path) -> None:
    calls = [refresh(0, 1, 1, 2), call(Kind.REVOKE, (0, None))]
    save(tmp_path / "history", calls)
    assert load(tmp_path / "history") == calls
