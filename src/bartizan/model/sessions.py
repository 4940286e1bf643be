"""Sign-on sessions at `id`. The cookie holds an opaque secret; the row keeps its fingerprint only."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from bartizan.model.event import Event


class Session(Struct, frozen=True, kw_only=True):
    id: UUID
    user_id: UUID
    created_at: datetime
    auth_time: datetime  # when the person last proved who they are (OIDC `auth_time`)
    last_seen_at: datetime
    expires_at: datetime  # absolute end
    device: str  # "Firefox on Linux", derived from the User-Agent, never the full string
    network: str  # the masked address (/24, /48): what the account page may show


class Sessions(Protocol):
    async def add(self, session: Session, fingerprint: bytes) -> None: ...

    async def begin(self, session: Session, fingerprint: bytes, password_hash: str, event: Event) -> bool:
        """The session and its event, in one statement. False, and nothing happened, when that is not the person's
        password any more; and it stays so until this is committed."""
        ...

    async def by_fingerprint(self, fingerprint: bytes) -> Session | None:
        """The living session, or None when unknown, ended or expired. Touches `last_seen_at` at most once a minute."""
        ...

    async def reauthenticated(self, session_id: UUID, fingerprint: bytes) -> None:
        """A fresh proof: new cookie secret (the old one ends), `auth_time` = now."""
        ...

    async def of_user(self, user_id: UUID) -> list[Session]: ...

    async def hold(self, session_id: UUID) -> bool:
        """Whether it has not been ended, and nobody else ends it before this transaction is over."""
        ...

    async def end(self, session_id: UUID, reason: str) -> list[UUID]:
        """Ends it and every family that hangs on it (not `offline_access` of other clients), lists their
        gids as ended, all in this transaction; gives the gids. Idempotent."""
        ...

    async def end_all_of(self, user_id: UUID, reason: str, *, but: UUID | None = None) -> list[UUID]: ...
