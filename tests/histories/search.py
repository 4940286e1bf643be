"""Is a history linearizable? Wing and Gong's search with Lowe's memory of what was tried. Pure.

A history is linearizable when each call can be given one instant between its invocation and its answer, so that the
calls in the order of these instants are what the model allows. A call of unknown outcome gets an instant after its
invocation, or none. Each grant is an object of its own, and a history of many objects is linearizable exactly when
that of each is (Herlihy and Wing's locality), so they are searched apart.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from msgspec import Struct
from tests.histories.calls import NEVER, READS, Call

State = TypeVar("State", bound=Hashable)
Step = Callable[[State, Call], Iterable[tuple[int, State]]]

MOST = 2_000_000  # of situations looked at; beyond that nothing is said of the history


class Verdict(Struct, frozen=True):
    """`linearizable` None: given up."""

    linearizable: bool | None
    looked_at: int
    stuck: tuple[Call, ...] = ()  # the calls that were left when the search got furthest


def search(calls: Iterable[Call], start: State, step: Step[State], *, most: int = MOST) -> Verdict:
    ordered = sorted((call for call in calls if call.known or call.kind not in READS), key=lambda call: call.invoked)
    must = sum(1 << place for place, call in enumerate(ordered) if call.known)
    furthest = 0
    tried: set[tuple[int, State]] = {(0, start)}
    ahead: list[tuple[int, State]] = [(0, start)]
    while ahead:
        done, state = ahead.pop()
        if done & must == must:
            return Verdict(True, len(tried))
        if len(tried) > most:
            return Verdict(None, len(tried))
        if (done & must).bit_count() > (furthest & must).bit_count():
            furthest = done
        found = []
        for place in _next(ordered, done):
            call = ordered[place]
            for said, after in step(state, call):
                # An unknown one that would change nothing may as well not have happened.
                if said == call.said if call.known else after != state:
                    found.append((call.latest, (done | 1 << place, after)))
        # Whoever answered first has most likely happened first, and what is unknown most likely not now.
        for _, situation in sorted(found, key=lambda one: -one[0]):
            if situation not in tried:
                tried.add(situation)
                ahead.append(situation)
    return Verdict(False, len(tried), tuple(call for place, call in enumerate(ordered) if not furthest >> place & 1))


def _next(ordered: list[Call], done: int) -> list[int]:
    """Those that may come next: invoked before any other that is left had its answer.

    Of unknown ones that are the same call, the first alone: whatever order has another of them may have it instead.
    """
    limit, found = NEVER, []
    unknown: set[tuple[str, int]] = set()
    for place, call in enumerate(ordered):
        if done >> place & 1:
            continue
        if call.invoked > limit:
            break
        if not call.known:
            if (call.kind, call.generation) in unknown:
                continue
            unknown.add((call.kind, call.generation))
        found.append(place)
        limit = min(limit, call.latest)
    return found
