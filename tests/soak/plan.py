"""Which fault when: by the seed alone, so that a run can be told again. Pure.

Kills come first, each server as often as the time allows; then everything but kills. So processes that grew old are
watched for the rest of the run, and a leak has nowhere to hide.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from msgspec import Struct
from tests.soak.house import OURS, SERVERS, WORKERS

KILLING = 0.4  # the share of the run in which processes die
_ONE = 3.0  # seconds that a kill takes, about
QUIET = 8.0  # seconds without a fault at the beginning and at the end
SHORTLY_QUIET = 4.0  # in the short form

_OURS = (*(f"kill {name}" for name in OURS), "ring key", "kill both workers")  # first: these are watched longest
_OTHERS = (*(f"kill {name}" for name in SERVERS if name not in OURS), "restart database")
_SOFT = (
    *(f"stop {name}" for name in SERVERS), "flush the cache", "rotate the signing key", "lock families",
    "lock sessions", "lock codes", "disconnect",
)  # fmt: skip


class Planned(Struct, frozen=True):
    what: str
    hold: float  # seconds, of those that last
    pause: float  # seconds after it has recovered


def planned(seed: int, seconds: float) -> Iterator[tuple[float, Planned]]:
    """Without end. Each with the time in the run before which it is not begun, in order."""
    dice = random.Random(f"{seed}:faults")
    ours, others, soft = list(_OURS), list(_OTHERS), list(_SOFT)
    for some in (ours, others, soft):
        dice.shuffle(some)
    for _ in range(max(1, int(seconds * KILLING / (len(_OURS + _OTHERS) * _ONE)))):
        for what in (*ours, *others):
            yield QUIET, _drawn(dice, what)
    while True:
        for what in soft:
            yield max(QUIET, seconds * KILLING), _drawn(dice, what)
        dice.shuffle(soft)


def short(seed: int) -> list[Planned]:
    """For a run of half a minute: one of each sort."""
    dice = random.Random(f"{seed}:faults")
    chosen = [
        f"kill {dice.choice(WORKERS)}", f"kill {dice.choice(('database', 'cache', 'envoy'))}",
        f"stop {dice.choice(OURS)}", dice.choice(("rotate the signing key", "flush the cache", "lock families")),
    ]  # fmt: skip
    dice.shuffle(chosen)
    return [_drawn(dice, what) for what in chosen]


def _drawn(dice: random.Random, what: str) -> Planned:
    return Planned(what, dice.uniform(0.5, 3.0), dice.uniform(0.3, 1.5))
