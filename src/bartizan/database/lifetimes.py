"""Flows §7: what was ended stays listed for as long as the longest access token lives, also one from before.

A process that was set to shorter lives may end what was given tokens by the longer ones, its own from before a restart
or another node's that is not restarted yet. So each says how long its entries must stay, before its first token, and
the longest holds for all: at once when it grows, and for a day after the last process said so. It says so each hour.
"""

from __future__ import annotations

# Seconds; $1 are the process's own.
KEPT = """(
    SELECT greatest($1::int, CASE WHEN listed_until < now() THEN 0 ELSE listed_seconds END) FROM meta
)"""

SAY_AGAIN = 3_600.0  # seconds
_HOLDS_ON = "$1::int < listed_seconds AND coalesce(listed_until > now(), true)"
SAY = f"""
    WITH said AS (
        UPDATE meta SET
            listed_seconds = CASE WHEN {_HOLDS_ON} THEN listed_seconds ELSE $1 END,
            listed_until = CASE WHEN {_HOLDS_ON} THEN coalesce(listed_until, now() + interval '1 day') END
        WHERE listed_seconds <> $1 OR listed_until IS NOT NULL
    )
    SELECT epoch FROM meta
"""
