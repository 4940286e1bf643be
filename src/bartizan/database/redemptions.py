"""OAuth 2.1 §4.1.3, coalesced: codes issued and codes redeemed, many in one statement, which is one commit.

Each is answered after that commit. A code and its event are one statement; a code spent, its family and its event
likewise: nothing lies in between that could be lost. What must be single stays so by its own row. A code whose session
or row somebody holds is passed over and goes alone (flows §6): an ending of many may hold it for as long as anybody
waits, and that is no reason to fail the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from bartizan.database.coalesce import Coalescer
from bartizan.database.codes import HOLD_CODE, HOLD_SESSION, ISSUE, ISSUE_FOR, READ, REDEEM
from bartizan.database.consents import PostgresConsents
from bartizan.database.events import PostgresEvents
from bartizan.database.rows import as_json, read
from bartizan.database.within import Opens, Within
from bartizan.model.codes import Code
from bartizan.model.event import Event
from bartizan.model.families import Family, NewFamily
from bartizan.model.users import User

Seen = tuple[Code, User | None]


class _Issue(Struct, frozen=True):
    fingerprint: bytes
    code: Code
    event: Event


class _Redeem(Struct, frozen=True):
    fingerprint: bytes
    begins: NewFamily
    event: Event


class PostgresRedemptions:
    def __init__(self, within: Opens) -> None:
        self._within = within
        self._seen: Coalescer[bytes, Seen | None] = Coalescer(self._read)
        self._issues: Coalescer[_Issue, None] = Coalescer(self._issue)
        self._redeems: Coalescer[_Redeem, Family | None] = Coalescer(self._redeem)

    async def see(self, fingerprint: bytes) -> Seen | None:
        return await self._seen.ask(fingerprint)

    async def issue(
        self, fingerprint: bytes, code: Code, event: Event, *, by_consent: bool, ends: UUID | None = None
    ) -> bool:
        asked = _Issue(fingerprint, code, event)
        if by_consent or ends is not None:
            return await self._issue_alone(asked, by_consent, ends)
        await self._issues.ask(asked)
        return True

    async def redeem(self, fingerprint: bytes, begins: NewFamily, event: Event) -> Family | None:
        asked = _Redeem(fingerprint, begins, replace(event, gid=begins.id))
        return await self._redeems.ask(asked) or await self._redeem_alone(asked)

    async def _read(self, fingerprints: Sequence[bytes]) -> list[Seen | None]:
        async with self._within(transaction=False) as handed:
            rows = await handed.connection.fetch(READ, [*set(fingerprints)])
        seen = {row["fingerprint"]: (read(Code, row), read(User, row) if row["id"] else None) for row in rows}
        return [seen.get(fingerprint) for fingerprint in fingerprints]

    async def _issue(self, asked: Sequence[_Issue]) -> list[None]:
        async with self._within(transaction=False) as handed:
            events = await PostgresEvents(handed).ready([one.event for one in asked])
            fingerprints, codes = [one.fingerprint for one in asked], as_json(one.code for one in asked)
            # failpoint: code.issuing
            await handed.connection.execute(ISSUE, fingerprints, codes, events)
        # failpoint: code.committed
        return [None] * len(asked)

    async def _issue_alone(self, one: _Issue, by_consent: bool, ends: UUID | None) -> bool:
        """Who withdraws a consent deletes the codes that came of it: by then this one is there, or it never is."""
        code = one.code
        async with self._within(transaction=by_consent) as handed:
            if by_consent and not await PostgresConsents(handed).hold(code.user_id, code.client_id):
                return False
            events = await PostgresEvents(handed).ready([one.event])
            given: tuple[object, ...] = [one.fingerprint], as_json([code]), events
            # failpoint: code.finishing
            if ends is None:
                done = await handed.connection.execute(ISSUE, *given)
            else:
                done = await handed.connection.execute(ISSUE_FOR, *given, ends)
        # failpoint: code.finished
        return done == "INSERT 0 1"

    async def _redeem(self, asked: Sequence[_Redeem]) -> list[Family | None]:
        async with self._within(transaction=False) as handed:
            families = await _redeemed(handed, asked)
        # failpoint: redeem.committed
        return families  # noqa: RET504 - the mark between is a call in a test

    async def _redeem_alone(self, one: _Redeem) -> Family | None:
        """It is no good, or was passed over: whoever holds its session or itself is waited for."""
        async with self._within(transaction=True) as handed:
            await handed.connection.execute(HOLD_SESSION, one.fingerprint)
            await handed.connection.execute(HOLD_CODE, one.fingerprint)
            return (await _redeemed(handed, [one]))[0]


async def _redeemed(within: Within, asked: Sequence[_Redeem]) -> list[Family | None]:
    """Twins of one batch ask for one row, which buys one of their families."""
    events = await PostgresEvents(within).ready([one.event for one in asked])
    fingerprints, begins = [one.fingerprint for one in asked], [one.begins for one in asked]
    idle, absolute = [one.idle_seconds for one in begins], [one.absolute_seconds for one in begins]
    # failpoint: code.redeeming
    rows = await within.connection.fetch(REDEEM, fingerprints, idle, absolute, as_json(begins), events)
    begun = {row["id"]: read(Family, row) for row in rows}
    return [begun.get(one.begins.id) for one in asked]
