"""Flows §6 and OAuth 2.1 §4.1.3 as one small machine: a grant is its code, its session and its refresh family.

Pure. A call in a state has one outcome or a few: where the time of a call is known only to lie between its invocation
and its answer, a token of the generation below may be met as grace or as late retry.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.histories.calls import DONE, NEVER, REFUSED, Call, Kind

GRACE = 10.0
CLOCKS = 0.1  # seconds by which the client's and the database's clock may count differently over a grace
GRACED_RUN_ENDS, LATE_RETRIES_END = 5, 3
REMEMBERED = 16  # generations whose rotation the row knows the time of


class Standing(NamedTuple):
    """`rotated`: when the generations below were, newest first, each as two bounds, since the client was not there."""

    bff: bool
    spent: bool  # its code bought the family; without a code it was planted
    session: bool = True
    alive: bool = True
    generation: int = 1
    rotated: tuple[tuple[float, float], ...] = ((-NEVER, NEVER),)
    graced: bool = False
    graced_run: int = 0
    late_generation: int = 0
    late_count: int = 0


Outcome = tuple[int, Standing]


def outcomes(now: Standing, call: Call) -> Iterator[Outcome]:
    """What the call may say, and what stands after it."""
    if call.kind is Kind.REDEEM:
        yield _redeemed(now)
    elif call.kind is Kind.LOGOUT:
        yield DONE, now._replace(session=False, alive=now.alive and not now.spent)
    elif not now.spent:
        return  # nothing has been bought: nobody holds a token
    elif call.kind is Kind.REVOKE:
        yield DONE, now._replace(alive=False)
    elif call.kind is Kind.REFRESH:
        yield from _presented(now, call)
    elif call.kind is Kind.ASK_REFRESH:
        active = now.alive and now.generation - call.generation in (0, 1)
        yield (DONE if active else REFUSED), now
    else:
        yield (DONE if now.alive else REFUSED), now


def _redeemed(now: Standing) -> Outcome:
    """Once; a second time ends what the first has bought. Not when its session has ended before."""
    if now.spent:
        return REFUSED, now._replace(alive=False)
    if not now.session:
        return REFUSED, now
    return 1, now._replace(spent=True)


def _presented(now: Standing, call: Call) -> Iterator[Outcome]:
    """The table of flows §6."""
    below = now.generation - call.generation
    if not now.alive:
        yield REFUSED, now
    elif below == 0:
        yield from _rotated(now, call)
    elif not 0 < below <= len(now.rotated):
        yield _stolen(now)
    else:
        yield from _below(now, call, *now.rotated[below - 1])


def _below(now: Standing, call: Call, earliest: float, latest: float) -> Iterator[Outcome]:
    """`earliest`, `latest`: when its generation was rotated. What was within ten seconds of the last is one step."""
    if call.invoked - latest <= GRACE + CLOCKS:
        yield _graced(now)
    last_earliest, last_latest = now.rotated[0]
    if call.latest - earliest > GRACE - CLOCKS and last_earliest - latest <= GRACE + CLOCKS:
        yield _late(now)
    if last_latest - earliest > GRACE - CLOCKS and (earliest, latest) != now.rotated[0]:
        yield _stolen(now)


def _rotated(now: Standing, call: Call) -> Iterator[Outcome]:
    """A burst is one step: it is counted once. After it, a step without grace begins the run anew."""
    earliest, latest = now.rotated[0]
    rotated = now._replace(
        generation=now.generation + 1, rotated=((call.invoked, call.latest), *now.rotated[: REMEMBERED - 1])
    )
    if call.invoked - latest <= GRACE + CLOCKS:
        yield rotated.generation, rotated
    if call.latest - earliest > GRACE - CLOCKS:
        yield rotated.generation, rotated._replace(graced=False, graced_run=now.graced_run if now.graced else 0)


def _stolen(now: Standing) -> Outcome:
    return REFUSED, now._replace(alive=False, session=now.session and not now.bff)


def _graced(now: Standing) -> Outcome:
    """The newest successor; five such generations in a row are a thief on the client's timer (not of the BFF)."""
    if now.graced:
        return now.generation, now
    run = now.graced_run + 1
    if run >= GRACED_RUN_ENDS and not now.bff:
        return REFUSED, now._replace(alive=False)
    return now.generation, now._replace(graced=True, graced_run=run)


def _late(now: Standing) -> Outcome:
    """The same successor, counted once a generation; no history lasts 24 h, so the count never starts anew."""
    if now.late_generation == now.generation:
        return now.generation, now
    count = now.late_count + 1
    if count >= LATE_RETRIES_END:
        return REFUSED, now._replace(alive=False)
    return now.generation, now._replace(late_generation=now.generation, late_count=count)
