"""An in-memory fake of what the auth server is handed: enough of the records to drive every endpoint without an engine.

A transaction that raises leaves nothing behind, as the real one does. Rotation knows the plain cases only; the table
of flows §6 is tested on the real database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from tests.unit.auth.fake_ports import FakeClock

from bartizan.model.clients import Client, Consent
from bartizan.model.codes import Code, Interaction, Pushed
from bartizan.model.ended import EndedPage
from bartizan.model.event import Event
from bartizan.model.families import Family, NewFamily, Outcome, Rotation
from bartizan.model.keys import StoredKey
from bartizan.model.lookups import Standing
from bartizan.model.sessions import Session
from bartizan.model.users import User, identifier_key


class Tables:
    def __init__(self) -> None:
        self.users: dict[UUID, User] = {}
        self.hashes: dict[UUID, str] = {}
        self.sessions: dict[UUID, tuple[bytes, Session]] = {}
        self.clients: dict[str, Client] = {}
        self.consents: dict[tuple[UUID, str], Consent] = {}
        self.codes: dict[bytes, tuple[Code, UUID | None]] = {}
        self.pushed: dict[bytes, Pushed] = {}
        self.interactions: dict[UUID, tuple[bytes, Interaction]] = {}
        self.families: dict[UUID, Family] = {}
        self.ended: dict[UUID, datetime] = {}
        self.keys: dict[str, StoredKey] = {}
        self.events: list[Event] = []

    def saved(self) -> dict[str, object]:
        return {name: copy(value) for name, value in vars(self).items()}

    def restore(self, saved: dict[str, object]) -> None:
        vars(self).update(saved)


class _Part:
    def __init__(self, tables: Tables, clock: FakeClock) -> None:
        self.tables = tables
        self.clock = clock


class FakeUsers(_Part):
    async def add(self, user: User, password_hash: str | None) -> bool:
        if await self.by_email(user.email) is not None:
            return False
        self.tables.users[user.id] = user
        if password_hash is not None:
            self.tables.hashes[user.id] = password_hash
        return True

    async def by_id(self, user_id: UUID) -> User | None:
        return self.tables.users.get(user_id)

    async def by_email(self, email: str) -> User | None:
        key = identifier_key(email)
        return next((user for user in self.tables.users.values() if identifier_key(user.email) == key), None)

    async def by_email_to_sign_in(self, email: str) -> tuple[User, str | None] | None:
        user = await self.by_email(email)
        return None if user is None else (user, self.tables.hashes.get(user.id))

    async def password_hash(self, user_id: UUID) -> str | None:
        return self.tables.hashes.get(user_id)


class FakeSessions(_Part):
    async def add(self, session: Session, fingerprint: bytes) -> None:
        self.tables.sessions[session.id] = (fingerprint, session)

    async def begin(self, session: Session, fingerprint: bytes, password_hash: str, event: Event) -> bool:
        if self.tables.hashes.get(session.user_id) != password_hash:
            return False
        await self.add(session, fingerprint)
        self.tables.events.append(event)
        return True

    async def by_fingerprint(self, fingerprint: bytes) -> Session | None:
        for known, session in self.tables.sessions.values():
            if known == fingerprint and session.expires_at > self.clock():
                return session
        return None

    async def reauthenticated(self, session_id: UUID, fingerprint: bytes) -> None:
        _, session = self.tables.sessions[session_id]
        renewed = msgspec.structs.replace(session, auth_time=self.clock())
        self.tables.sessions[session_id] = (fingerprint, renewed)

    async def of_user(self, user_id: UUID) -> list[Session]:
        return [session for _, session in self.tables.sessions.values() if session.user_id == user_id]

    async def hold(self, session_id: UUID) -> bool:
        return session_id in self.tables.sessions

    async def end(self, session_id: UUID, reason: str) -> list[UUID]:
        self.tables.sessions.pop(session_id, None)
        gone = [family.id for family in self.tables.families.values() if family.session_id == session_id]
        for gid in gone:
            await FakeFamilies(self.tables, self.clock).end(gid, reason)
        return gone


class FakeClients(_Part):
    async def by_id(self, client_id: str) -> Client | None:
        return self.tables.clients.get(client_id)

    async def all(self) -> list[Client]:
        return list(self.tables.clients.values())

    async def origins(self) -> set[str]:
        return {origin for client in self.tables.clients.values() if not client.disabled for origin in client.origins}


class FakeConsents(_Part):
    async def grant(self, consent: Consent) -> None:
        self.tables.consents[consent.user_id, consent.client_id] = consent

    async def of(self, user_id: UUID, client_id: str) -> Consent | None:
        consent = self.tables.consents.get((user_id, client_id))
        return consent if consent is None or consent.until is None or consent.until > self.clock() else None

    async def hold(self, user_id: UUID, client_id: str) -> bool:
        return await self.of(user_id, client_id) is not None


class FakeCodes(_Part):
    async def add(self, fingerprint: bytes, code: Code) -> None:
        self.tables.codes[fingerprint] = (code, None)

    async def bought(self, fingerprint: bytes) -> UUID | None:
        return self.tables.codes.get(fingerprint, (None, None))[1]


class FakePushed(_Part):
    async def add(self, fingerprint: bytes, pushed: Pushed) -> None:
        self.tables.pushed[fingerprint] = pushed

    async def take(self, fingerprint: bytes, client_id: str) -> Pushed | None:
        pushed = self.tables.pushed.get(fingerprint)
        if pushed is None or pushed.client_id != client_id or pushed.expires_at <= self.clock():
            return None
        return self.tables.pushed.pop(fingerprint)


class FakeInteractions(_Part):
    async def add(self, fingerprint: bytes, interaction: Interaction) -> None:
        self.tables.interactions[interaction.id] = (fingerprint, interaction)

    async def by_fingerprint(self, fingerprint: bytes) -> Interaction | None:
        for known, interaction in self.tables.interactions.values():
            if known == fingerprint and not interaction.done and interaction.expires_at > self.clock():
                return interaction
        return None

    async def set_user(self, interaction_id: UUID, user_id: UUID) -> None:
        fingerprint, interaction = self.tables.interactions[interaction_id]
        self.tables.interactions[interaction_id] = (
            fingerprint,
            msgspec.structs.replace(interaction, user_id=user_id),
        )

    async def finish(self, interaction_id: UUID) -> bool:
        fingerprint, interaction = self.tables.interactions[interaction_id]
        if interaction.done:
            return False
        self.tables.interactions[interaction_id] = (fingerprint, msgspec.structs.replace(interaction, done=True))
        return True


class FakeFamilies(_Part):
    async def by_id(self, family_id: UUID) -> Family | None:
        family = self.tables.families.get(family_id)
        return family if family is not None and family.idle_until > self.clock() else None

    async def end(self, family_id: UUID, reason: str) -> bool:
        if self.tables.families.pop(family_id, None) is None:
            return False
        self.tables.ended[family_id] = self.clock()
        return True

    async def of_user(self, user_id: UUID) -> list[Family]:
        return [family for family in self.tables.families.values() if family.user_id == user_id]


class FakeKeys(_Part):
    async def published(self) -> list[StoredKey]:
        keys = [key for key in self.tables.keys.values() if key.removed_at is None or key.removed_at > self.clock()]
        return sorted(keys, key=lambda key: key.active_at, reverse=True)

    async def trusted(self) -> list[StoredKey]:
        return [
            key
            for key in self.tables.keys.values()
            if key.removed_at is None or key.retired_at is None or key.removed_at > key.retired_at
        ]

    async def start(self, kid: str, *, active_at: datetime) -> None:
        key = self.tables.keys[kid]
        self.tables.keys[kid] = msgspec.structs.replace(key, active_at=min(key.active_at, active_at))

    async def add(self, key: StoredKey) -> None:
        self.tables.keys[key.kid] = key

    async def retire(self, kid: str, *, remove_at: datetime) -> None:
        key = self.tables.keys[kid]
        self.tables.keys[kid] = msgspec.structs.replace(key, retired_at=self.clock(), removed_at=remove_at)

    async def remove(self, kid: str) -> None:
        now = self.clock()
        self.tables.keys[kid] = msgspec.structs.replace(
            self.tables.keys[kid], retired_at=now, removed_at=now, sealed=b""
        )

    async def lock_rotation(self) -> bool:
        return True


class FakeEnded(_Part):
    async def add(self, gid: UUID) -> None:
        self.tables.ended[gid] = self.clock()

    async def contains(self, gid: UUID) -> bool:
        return gid in self.tables.ended

    async def after(self, cursor: int) -> EndedPage:
        now = int(self.clock().timestamp())
        since = cursor - 60
        gids = tuple(str(gid) for gid, at in self.tables.ended.items() if at.timestamp() >= since)
        kids = tuple(key.kid for key in await FakeKeys(self.tables, self.clock).published())
        return EndedPage(gids=gids, cursor=now, now=now, kids=kids)


class FakeEvents(_Part):
    async def record(self, event: Event) -> None:
        self.tables.events.append(event)


class FakeRecords(_Part):
    def __getattr__(self, name: str) -> Any:
        kinds: dict[str, type[_Part]] = {
            "users": FakeUsers,
            "sessions": FakeSessions,
            "clients": FakeClients,
            "consents": FakeConsents,
            "codes": FakeCodes,
            "pushed": FakePushed,
            "interactions": FakeInteractions,
            "families": FakeFamilies,
            "keys": FakeKeys,
            "ended": FakeEnded,
            "events": FakeEvents,
        }
        return kinds[name](self.tables, self.clock)


class FakeRotations(_Part):
    async def rotate(
        self, family_id: UUID, generation: int, client_id: str, *, key_id: str, idle_seconds: int
    ) -> Rotation:
        now = self.clock()
        family = self.tables.families.get(family_id)
        if family is None or family.client_id != client_id:
            return Rotation(outcome=Outcome.ENDED if family is None else Outcome.UNKNOWN, family=None, now=now)
        behind = family.generation - generation
        if behind < 0:
            return Rotation(outcome=Outcome.AHEAD, family=family, now=now)
        if behind > 1:
            await FakeFamilies(self.tables, self.clock).end(family_id, "refresh.theft")
            return Rotation(outcome=Outcome.THEFT, family=family, now=now)
        if behind == 1:
            return Rotation(outcome=Outcome.GRACE, family=family, now=now)
        rotated = msgspec.structs.replace(family, generation=generation + 1, key_id=key_id, rotated_at=now)
        self.tables.families[family_id] = rotated
        return Rotation(outcome=Outcome.ROTATED, family=rotated, now=now)


class FakeLookups:
    def __init__(self, records: FakeRecords) -> None:
        self._records = records

    async def client(self, client_id: str) -> Client | None:
        client: Client | None = await self._records.clients.by_id(client_id)
        return client

    async def standing(self, gid: UUID, user_id: UUID | None) -> Standing:
        user = None if user_id is None else await self._records.users.by_id(user_id)
        return Standing(await self._records.ended.contains(gid), user)

    async def signed_in(self, fingerprint: bytes) -> tuple[Session, User] | None:
        session = await self._records.sessions.by_fingerprint(fingerprint)
        user = None if session is None else await self._records.users.by_id(session.user_id)
        return None if session is None or user is None or user.disabled else (session, user)


class FakeRedemptions:
    def __init__(self, records: FakeRecords, tables: Tables, clock: FakeClock) -> None:
        self._records = records
        self._tables = tables
        self._clock = clock

    async def see(self, fingerprint: bytes) -> tuple[Code, User | None] | None:
        code, _ = self._tables.codes.get(fingerprint, (None, None))
        return None if code is None else (code, await self._records.users.by_id(code.user_id))

    async def issue(
        self, fingerprint: bytes, code: Code, event: Event, *, by_consent: bool, ends: UUID | None = None
    ) -> bool:
        if by_consent and not await self._records.consents.hold(code.user_id, code.client_id):
            return False
        if ends is not None and not await self._records.interactions.finish(ends):
            return False
        await self._records.codes.add(fingerprint, code)
        await self._records.events.record(event)
        return True

    async def redeem(self, fingerprint: bytes, begins: NewFamily, event: Event) -> Family | None:
        code, bought = self._tables.codes.get(fingerprint, (None, None))
        now = self._clock()
        if code is None or bought is not None or code.expires_at <= now or code.session_id not in self._tables.sessions:
            return None
        self._tables.codes[fingerprint] = (code, begins.id)
        given = msgspec.structs.asdict(begins)
        idle, absolute = (now + timedelta(seconds=given.pop(f"{name}_seconds")) for name in ("idle", "absolute"))
        family = Family(**given, generation=1, created_at=now, rotated_at=now, idle_until=idle, absolute_until=absolute)
        self._tables.families[family.id] = family
        await self._records.events.record(event)
        return family


class FakeStore:
    def __init__(self, clock: FakeClock) -> None:
        self.tables = Tables()
        self.clock = clock
        self.current_epoch = 1

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[FakeRecords]:
        saved = self.tables.saved()
        try:
            yield FakeRecords(self.tables, self.clock)
        except BaseException:
            self.tables.restore(saved)
            raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[FakeRecords]:
        yield FakeRecords(self.tables, self.clock)

    @property
    def rotations(self) -> FakeRotations:
        return FakeRotations(self.tables, self.clock)

    @property
    def redemptions(self) -> FakeRedemptions:
        return FakeRedemptions(FakeRecords(self.tables, self.clock), self.tables, self.clock)

    @property
    def lookups(self) -> FakeLookups:
        return FakeLookups(FakeRecords(self.tables, self.clock))

    async def epoch(self) -> int:
        return self.current_epoch
