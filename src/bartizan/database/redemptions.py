"""OAuth 2.1 §4.1.3, coalesced: codes issued and codes redeemed, many in one transaction and one commit.

Each is answered after that commit. What must be single stays so by its own row: a batch changes nothing about it, as
each code is its own UPDATE. Codes are taken in the order of their sessions, as everybody locks these. One whose session
or row somebody holds is passed over and goes alone (flows §6): an ending of many may hold it for as long as anybody
waits, and that is no reason to fail the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import astuple

from bartizan.database.coalesce import Coalescer
from bartizan.database.codes import ADD, COLUMNS, REDEEM, REDEEM_FREE
from bartizan.database.events import PostgresEvents
from bartizan.database.families import BEGIN
from bartizan.database.rows import read, values
from bartizan.database.users import SELECT as USER
from bartizan.database.within import Opens, Within
from bartizan.model.codes import Code
from bartizan.model.event import Event
from bartizan.model.families import Family, NewFamily
from bartizan.model.users import User

_CODES = f"SELECT fingerprint, {COLUMNS} FROM codes WHERE fingerprint = ANY ($1)"
_USERS = f"{USER} WHERE users.id = ANY ($1)"

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

    async def issue(self, fingerprint: bytes, code: Code, event: Event) -> None:
        await self._issues.ask(_Issue(fingerprint, code, event))

    async def redeem(self, fingerprint: bytes, begins: NewFamily, event: Event) -> Family | None:
        asked = _Redeem(fingerprint, begins, event)
        family = await self._redeems.ask(asked)
        if family is None:  # no good, or passed over
            family = (await self._redeem([asked]))[0]
        return family

    async def _read(self, fingerprints: Sequence[bytes]) -> list[Seen | None]:
        async with self._within(transaction=False) as handed:
            rows = await handed.connection.fetch(_CODES, [*set(fingerprints)])
            people = await handed.connection.fetch(_USERS, [*{row["user_id"] for row in rows}]) if rows else []
        users = {row["id"]: read(User, row) for row in people}
        codes = {row["fingerprint"]: read(Code, row) for row in rows}
        found = [codes.get(fingerprint) for fingerprint in fingerprints]
        return [None if code is None else (code, users.get(code.user_id)) for code in found]

    async def _issue(self, asked: Sequence[_Issue]) -> list[None]:
        async with self._within(transaction=True) as handed:
            rows = [(one.fingerprint, *values(one.code)) for one in asked]
            await handed.connection.executemany(ADD, rows)
            # failpoint: code.added
            await PostgresEvents(handed).record_all([one.event for one in asked])
        # failpoint: code.committed
        return [None] * len(asked)

    async def _redeem(self, asked: Sequence[_Redeem]) -> list[Family | None]:
        """Twins of one batch are two UPDATEs of one row: the second finds it spent."""
        inline = sorted(asked, key=lambda one: (one.event.session_id or one.begins.id, one.fingerprint))
        async with self._within(transaction=True) as handed:
            statement = REDEEM if len(inline) == 1 else REDEEM_FREE
            spent = await handed.connection.fetchmany(statement, [(one.fingerprint, one.begins.id) for one in inline])
            # failpoint: code.spent
            bought = {row["family_id"] for row in spent}
            begun = await self._begin(handed, [one for one in inline if one.begins.id in bought])
        # failpoint: redeem.committed
        return [begun.get(one.begins.id) for one in asked]

    async def _begin(self, handed: Within, bought: Sequence[_Redeem]) -> dict[object, Family]:
        if not bought:
            return {}
        rows = await handed.connection.fetchmany(BEGIN, [astuple(one.begins) for one in bought])
        # failpoint: family.added
        await PostgresEvents(handed).record_all([one.event for one in bought])
        return {row["id"]: read(Family, row) for row in rows}
