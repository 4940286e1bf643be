"""Authorization codes, pushed requests, interactions and one-time links: single use by one atomic statement.

Codes, request URIs and interaction cookies are opaque secrets; rows keep SHA-256 fingerprints.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from bartizan.model.event import Event
from bartizan.model.families import Family, NewFamily
from bartizan.model.users import User


class Code(Struct, frozen=True, kw_only=True):
    client_id: str
    user_id: UUID
    session_id: UUID
    redirect_uri: str | None  # as sent; None when the request left it out
    code_challenge: str
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    nonce: str | None
    csrf: str | None  # a cookie-mode BFF asked for cookie tokens
    auth_time: datetime
    expires_at: datetime  # 60 s


class Codes(Protocol):
    async def bought(self, fingerprint: bytes) -> UUID | None:
        """The family that a spent code bought, for revocation when it comes back."""
        ...


class Redemptions(Protocol):
    """Owns its transactions, so that concurrent requests share statements and a commit; each answers after it."""

    async def see(self, fingerprint: bytes) -> tuple[Code, User | None] | None:
        """The row, spent or not, and whose it is: to check client, redirect and verifier before spending it."""
        ...

    async def issue(
        self, fingerprint: bytes, code: Code, event: Event, *, by_consent: bool, ends: UUID | None = None
    ) -> bool:
        """The code and its event. `ends`: the interaction that it comes of, which is over then. False, and nothing
        happened, when that was over before, so no second code comes of one; or when it is `by_consent` and that was
        withdrawn."""
        ...

    async def redeem(self, fingerprint: bytes, begins: NewFamily, event: Event) -> Family | None:
        """Spends the code, begins the family, notes the event. None, and nothing happened, when the code is unknown,
        late or spent before (then see `Codes.bought`), or its session has ended. The event gets the family's `gid`."""
        ...


class Pushed(Struct, frozen=True, kw_only=True):
    client_id: str
    request: bytes  # msgspec JSON of protocol.oauth.authorize.AuthorizationRequest
    expires_at: datetime  # 60 s


class PushedRequests(Protocol):
    async def add(self, fingerprint: bytes, pushed: Pushed) -> None: ...

    async def take(self, fingerprint: bytes, client_id: str) -> Pushed | None:
        """Gives it once: the row is deleted by this statement."""
        ...


class Interaction(Struct, frozen=True, kw_only=True):
    """One authorization under way, bound to one browser by its `…-ix` cookie."""

    id: UUID
    request: bytes  # as in Pushed
    client_id: str
    created_at: datetime
    expires_at: datetime  # 1 h
    user_id: UUID | None = None  # who signed up in it, waiting for the mail link
    done: bool = False


class Interactions(Protocol):
    async def add(self, fingerprint: bytes, interaction: Interaction) -> None: ...

    async def by_fingerprint(self, fingerprint: bytes) -> Interaction | None: ...

    async def set_user(self, interaction_id: UUID, user_id: UUID) -> None: ...

    async def finish(self, interaction_id: UUID) -> bool:
        """Ends it, once: False when it had ended, so no second code comes of it."""
        ...


class Link(Struct, frozen=True, kw_only=True):
    """A one-time link. Its secret is derived (MAC over kind and id, ring purpose "link"): none is at rest."""

    id: UUID
    kind: str  # "verify" | "reset" | "setup" | "email"
    user_id: UUID | None
    detail: dict[str, str]
    created_at: datetime
    expires_at: datetime


class Links(Protocol):
    async def add(self, link: Link) -> None: ...

    async def peek(self, link_id: UUID, kind: str) -> Link | None:
        """The living, unused link."""
        ...

    async def use(self, link_id: UUID, kind: str) -> Link | None:
        """Uses it up; None when unknown, late, of another kind, or used."""
        ...
