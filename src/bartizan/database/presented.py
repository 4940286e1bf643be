"""Flows §6: what presenting a refresh token comes to when the one rotating UPDATE missed. The table, as a function.

Pure: the row as it was read under its lock, the generation presented, the database's time. `rotations.py` acts on it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct, field

from bartizan.model.families import Outcome

GRACE = timedelta(seconds=10)
REMEMBERED = 16  # generations whose rotation the row can tell the time of: tabs of one burst
GRACED_RUN_ENDS = 5  # a thief who follows the client's timer shows as grace after grace (not counted for the BFF)
LATE_RETRIES_END = 3
LATE_WINDOW = timedelta(hours=24)


class Standing(Struct, frozen=True, kw_only=True):
    """The family's row, as far as the table looks at it."""

    client_id: str
    living: bool
    bff: bool
    generation: int
    rotated_at: datetime  # when the generation below it was rotated
    rotated_before: tuple[datetime, ...] | None  # the ones below that, newest first
    graced: bool
    graced_run: int
    late_gen: int | None
    late_count: int
    late_since: datetime | None


class Verdict(Struct, frozen=True):
    """`outcome` None: nothing speaks against rotating, try the UPDATE again."""

    outcome: Outcome | None
    changes: dict[str, object] = field(default_factory=dict)  # columns to write under the lock
    cause: str = ""


def judge(row: Standing | None, generation: int, client_id: str, now: datetime) -> Verdict:
    if row is None or row.client_id != client_id:
        return Verdict(Outcome.UNKNOWN)
    if not row.living:
        return Verdict(Outcome.ENDED)
    below = row.generation - generation
    if below < 0:
        return Verdict(Outcome.AHEAD)
    if below == 0:
        return Verdict(None)
    rotated = _rotated(row, below)
    if rotated is None:
        return Verdict(Outcome.THEFT, cause="replayed")
    return _grace(row) if now - rotated <= GRACE else _late_retry(row, now)


def _rotated(row: Standing, below: int) -> datetime | None:
    """When the generation so many below the row's was rotated. None: before the burst that was last.

    Rotations within ten seconds are a burst, and that is one step: tabs send, and answers come back, in any order, so a
    browser may be left with any of its generations.
    """
    times = (row.rotated_at, *(row.rotated_before or ()))
    if below > len(times) or row.rotated_at - times[below - 1] > GRACE:
        return None
    return times[below - 1]


def _grace(row: Standing) -> Verdict:
    """A second tab, a retry: the newest successor, also where that was used meanwhile. Counted once a burst."""
    if row.graced:
        return Verdict(Outcome.GRACE)
    run = row.graced_run + 1
    if run >= GRACED_RUN_ENDS and not row.bff:
        return Verdict(Outcome.THEFT, cause="graced_run")
    return Verdict(Outcome.GRACE, {"graced": True, "graced_run": min(run, 32767)})


def _late_retry(row: Standing, now: datetime) -> Verdict:
    """Its successor was never used, or the row would be further on: the answer was lost, or came in the wrong order.
    Honoured, and counted."""
    if row.late_gen == row.generation:
        return Verdict(Outcome.LATE_RETRY)
    running = row.late_since is not None and now - row.late_since < LATE_WINDOW
    count = row.late_count + 1 if running else 1
    if count >= LATE_RETRIES_END:
        return Verdict(Outcome.CONTENDED, cause="late_retries")
    since = row.late_since if running else now
    return Verdict(Outcome.LATE_RETRY, {"late_gen": row.generation, "late_count": count, "late_since": since})
