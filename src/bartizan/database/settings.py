"""What the database room is told: an address, and how long things are kept."""

from __future__ import annotations

from msgspec import Struct

from bartizan.model.ended import MOST_LISTED, listed_seconds

_DAY = 86_400


class DatabaseSettings(Struct, frozen=True, kw_only=True):
    url: str  # postgresql://role:password@host/name, or …@/name?host=/socket/directory
    pool_size: int = 8
    acquire_seconds: float = 2.0  # waiting longer for a connection is 503
    statement_seconds: float = 5.0
    lock_seconds: float = 2.0  # waiting longer for what another transaction holds is 503
    ended_seconds: int = listed_seconds(300)  # so long a gid stays on the list of the ended (F§7)
    most_listed: int = MOST_LISTED  # more that ended at once changes the signing key
    session_idle_seconds: int = 14 * _DAY
    retention_days: int = 30  # `privacy.retention`: events, keys of the day, what was ended or spent
