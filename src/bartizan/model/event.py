"""Security events: one row a kind. From it follow log schema, metric, console sentence.

An event is written in the transaction that it describes. An address never enters it: the store keeps
HMAC-SHA-256(key of the day, address) and the masked network.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from msgspec import Struct, field


class Severity(StrEnum):
    NOTE = "note"
    WATCH = "watch"
    SERIOUS = "serious"


class EventKind(Struct, frozen=True):
    code: str
    severity: Severity
    sentence: str  # for the console; may name {user} and {client}


_N, _W, _S = Severity.NOTE, Severity.WATCH, Severity.SERIOUS

EVENTS: dict[str, EventKind] = {
    row.code: row
    for row in (
        EventKind("user.created", _N, "{user} made an account"),
        EventKind("user.verified", _N, "{user} verified the e-mail address"),
        EventKind("user.changed", _N, "{user} changed the profile"),
        EventKind("user.disabled", _W, "{user} was locked"),
        EventKind("user.enabled", _N, "{user} was unlocked"),
        EventKind("user.deleted", _W, "An account was deleted"),
        EventKind("admin.granted", _S, "{user} became an administrator"),
        EventKind("password.changed", _W, "{user} changed the password"),
        EventKind("password.reset", _W, "{user} set a new password by a mail link"),
        EventKind("signin.done", _N, "{user} signed in to {client}"),
        EventKind("signin.refused", _W, "A sign-in was refused"),
        EventKind("signin.limited", _W, "Sign-in tries were limited"),
        EventKind("session.ended", _N, "A session of {user} was ended"),
        EventKind("sessions.ended", _W, "Many sessions were ended at once"),
        EventKind("session.signed_out", _N, "{user} signed out"),
        EventKind("consent.granted", _N, "{user} allowed {client}"),
        EventKind("consent.withdrawn", _N, "{user} ended the access of {client}"),
        EventKind("code.issued", _N, "{client} got a code for {user}"),
        EventKind("token.issued", _N, "{client} got tokens"),
        EventKind("token.revoked", _N, "{client} gave a token back"),
        EventKind("code.replayed", _S, "A code of {client} came back; what it bought was ended"),
        EventKind("refresh.theft", _S, "Replayed session of {user} ended"),
        EventKind("refresh.contended", _W, "A session of {user} was ended after late retries"),
        EventKind("refresh.refused", _W, "{client} presented a refresh token that is not its own"),
        EventKind("database.went_back", _S, "A token is ahead of the database: was it restored?"),
        EventKind("client.refused", _W, "{client} failed to authenticate"),
        EventKind("client.created", _W, "{client} was registered"),
        EventKind("client.deleted", _W, "{client} was deleted"),
        EventKind("client.disabled", _W, "{client} was disabled"),
        EventKind("client.enabled", _N, "{client} was enabled"),
        EventKind("key.rotated", _N, "A new signing key is in use"),
        EventKind("key.changed", _W, "Too many sessions ended to list them: their key was withdrawn, another signs"),
        EventKind("key.withdrawn", _S, "A signing key was withdrawn"),
        EventKind("csp.report", _W, "A browser stopped something that a page must not do"),
        EventKind("file.refused", _W, "An upload was refused"),
        EventKind("file.deleted", _N, "{user} deleted a file"),
        EventKind("purge.done", _N, "What was older than its time was deleted"),
    )
}


class Event(Struct, frozen=True, kw_only=True):
    code: str  # a key of EVENTS
    user_id: UUID | None = None
    client_id: str | None = None
    session_id: UUID | None = None
    gid: UUID | None = None
    request_id: str = ""
    address: str | None = None  # plain, in memory only: never stored
    detail: dict[str, str] = field(default_factory=dict)


class StoredEvent(Struct, frozen=True, kw_only=True):
    id: UUID
    at: datetime
    code: str
    user_id: UUID | None
    client_id: str | None
    session_id: UUID | None
    gid: UUID | None
    request_id: str
    address_hash: bytes | None
    network: str
    detail: dict[str, str]


class Seal(Struct, frozen=True, kw_only=True):
    number: int
    first_at: datetime
    last_at: datetime
    rows: int
    digest: bytes  # SHA-256 over the rows and the previous digest
    signature: str  # compact JWS over the digest


class Events(Protocol):
    async def record(self, event: Event) -> None: ...

    async def latest(
        self,
        *,
        limit: int,
        code: str = "",
        severity: str = "",
        user_id: UUID | None = None,
        client_id: str = "",
        before: datetime | None = None,
    ) -> list[StoredEvent]: ...

    async def counts(self, codes: tuple[str, ...], *, hours: int) -> list[tuple[datetime, str, int]]:
        """(hour, code, number) for the last hours, for charts."""
        ...

    async def unsealed(self, *, limit: int) -> list[StoredEvent]:
        """Rows after the last seal and older than five minutes, oldest first."""
        ...

    async def add_seal(self, seal: Seal) -> None: ...

    async def last_seal(self) -> Seal | None: ...

    async def seals(self, *, since: datetime, above: int, limit: int) -> list[Seal]:
        """Of segments that begin then or later, with a higher number; lowest first."""
        ...

    async def within(self, after: datetime, until: datetime) -> list[StoredEvent]:
        """Later than `after`, no later than `until`, in the order in which they are sealed."""
        ...
