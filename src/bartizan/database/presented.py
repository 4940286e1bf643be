"""Flows §6: what presenting a refresh token comes to when the one rotating UPDATE missed. The table, as a function.

Pure: the row as it was read under its lock, the generation presented, the database's time. `rotations.py` acts on it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct, field

from bartizan.model.families import Outcome

GRACE = timedelta(seconds=10)
GRACED_RUN_ENDS = 5  # a thief who follows the client's timer shows as grace after grace (not counted for the BFF)
LATE_RETRIES_END = 3
LATE_WINDOW = timedelta(hours=24)


class Standing(Struct, frozen=True, kw_only=True):
    """The family's row, as far as the table looks at it."""

    client_id: str
    living: bool
    bff: bool
    generation: int
    rotated_at: datetime
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
    match row.generation - generation:
        case 0:
            return Verdict(None)
        case 1 if now - row.rotated_at <= GRACE:
            return _grace(row)
        case 1:
            return _late_retry(row, now)
        case below if below < 0:
            return Verdict(Outcome.AHEAD)
    return Verdict(Outcome.THEFT, cause="replayed")


def _grace(row: Standing) -> Verdict:
    """A second tab, a retry: the same successor. Counted once a generation."""
    if row.graced:
        return Verdict(Outcome.GRACE)
    run = row.graced_run + 1
    if run >= GRACED_RUN_ENDS and not row.bff:
        return Verdict(Outcome.THEFT, cause="graced_run")
    return Verdict(Outcome.GRACE, {"graced": True, "graced_run": min(run, 32767)})


def _late_retry(row: Standing, now: datetime) -> Verdict:
    """Its successor was never used, or the row would be further on: the answer was lost. Honoured, and counted."""
    if row.late_gen == row.generation:
        return Verdict(Outcome.LATE_RETRY)
    running = row.late_since is not None and now - row.late_since < LATE_WINDOW
    count = row.late_count + 1 if running else 1
    if count >= LATE_RETRIES_END:
        return Verdict(Outcome.CONTENDED, cause="late_retries")
    since = row.late_since if running else now
    return Verdict(Outcome.LATE_RETRY, {"late_gen": row.generation, "late_count": count, "late_since": since})
