"""One protection taken out each: the checker must find every one of them in a short history."""

from __future__ import annotations

MUTANTS: dict[str, dict[str, str]] = {
    "a rotation does not look at the generation": {
        "module": "bartizan.database.rotations",
        "before": " AND families.generation = asked.generation",
        "after": "",
    },
    "a code can be redeemed again": {
        "module": "bartizan.database.codes",
        "before": "AND spent_at IS NULL ",
        "after": "",
    },
    "a revocation only answers": {
        "module": "bartizan.auth.endpoints.revoke",
        "before": 'await records.families.end(family_id, "token.revoked")',
        "after": "True",
    },
    "a stolen token is honoured": {
        "module": "bartizan.database.presented",
        "before": 'return Verdict(Outcome.THEFT, cause="replayed")',
        "after": "return Verdict(Outcome.GRACE)",
    },
    "a replayed code ends nothing": {
        "module": "bartizan.auth.grants.authorization_code",
        "before": 'await records.families.end(bought, "code.replayed")',
        "after": "pass",
    },
    "signing out leaves the families": {
        "module": "bartizan.database.ending",
        "before": "return await end_families(within, SESSIONS, reason, session_ids)",
        "after": "return []",
    },
}
