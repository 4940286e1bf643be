"""One protection taken out each, by its promise: with it gone the promise's own check must fail (`test_mutants.py`s).

A change is `BARTIZAN_MUTANT`'s: the text must stand in its module exactly once, or the mutated process does not start.
"""

from __future__ import annotations

Change = dict[str, str]


def _change(module: str, before: str, after: str) -> Change:
    return {"module": f"bartizan.{module}", "before": before, "after": after}


MUTANTS: dict[str, Change] = {
    "a code buys once": _change("database.codes", "AND spent_at IS NULL ", ""),
    "a code that comes back ends what it bought": _change(
        "auth.grants.authorization_code", 'await records.families.end(bought, "code.replayed")', "pass"
    ),
    "a rotation looks at the generation": _change(
        "database.rotations", " AND families.generation = asked.generation", ""
    ),
    "a lost answer is given again": _change(
        "database.presented", "return _grace(row)", 'return Verdict(Outcome.THEFT, cause="replayed")'
    ),
    "the grace ends": _change("database.presented", "GRACE = timedelta(seconds=10)", "GRACE = timedelta(days=10)"),
    "theft ends the family": _change(
        "database.rotations", "await end_families(within, FAMILY, code, family.id)", "pass"
    ),
    "a code and its event are one commit": _change(
        "database.redemptions",
        """            await handed.connection.execute(ISSUE, fingerprints, codes, events)
        # failpoint: code.committed
""",
        """            await handed.connection.execute(ISSUE, fingerprints, codes, "[]")
        # failpoint: code.committed
        async with self._within(transaction=True) as handed:
            await PostgresEvents(handed).record_all([one.event for one in asked])
""",
    ),
    "a family and its event are one commit": _change(
        "database.redemptions", "as_json(begins), events)", 'as_json(begins), "[]")'
    ),
    "a request_uri is opened once": _change(
        "database.pushed",
        """DELETE FROM pushed WHERE fingerprint = $1 AND client_id = $2
            RETURNING {_COLUMNS}, expires_at > now() AS living
""",
        """SELECT {_COLUMNS}, expires_at > now() AS living FROM pushed WHERE fingerprint = $1 AND client_id = $2
""",
    ),
    "a mailed link works once": _change("database.links", "used_at IS NULL AND ", ""),
    "what is ended is listed": _change(
        "database.ending", "WHERE has_access AND NOT (SELECT exceeded FROM room)", "WHERE false"
    ),
    "signing out ends the families": _change(
        "database.ending", "return await end_families(within, SESSIONS, reason, session_ids)", "return []"
    ),
    "a reset ends the sessions": _change(
        "auth.signin.reset.page", 'await records.sessions.end_all_of(user.id, "password.reset")', "pass"
    ),
    "an ending is noted once": _change("database.users", "id = $1 AND disabled <> $2 RETURNING", "id = $1 RETURNING"),
    "a broken upload leaves nothing": _change("files.intake", "        _gone(path)\n", "        pass\n"),
}
