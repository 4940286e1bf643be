"""OAuth clients (RFC 7591 names where it has them). Rows of the file are owned by the file, others by the console."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from msgspec import Struct


class Kind(StrEnum):
    BROWSER = "browser"  # a site behind our BFF: confidential, its secret derived from the key ring
    SERVER = "server"  # confidential
    NATIVE = "native"  # public, loopback port may vary (RFC 8252)
    AGENT = "agent"  # confidential, client_credentials


class AuthMethod(StrEnum):
    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    NONE = "none"


class Mode(StrEnum):
    COOKIE = "cookie"  # access token in an HttpOnly cookie (default)
    MEMORY = "memory"  # access token handed to script, kept in a variable


class Client(Struct, frozen=True, kw_only=True):
    id: str
    kind: Kind
    name: str
    auth_method: AuthMethod
    secret_fingerprint: bytes | None  # SHA-256 of the secret; None for public clients
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    redirect_onward: tuple[str, ...] = ()  # origins its callback goes on to (CSP form-action)
    origins: tuple[str, ...] = ()  # browser origins that may call with a bearer token (CORS)
    grants: tuple[str, ...] = ("authorization_code", "refresh_token")
    scopes: tuple[str, ...] = ()  # what it may ask for
    audience: tuple[str, ...] = ()  # resources it may name (RFC 8707); the first is the default
    first_party: bool = False  # no consent page
    mode: Mode = Mode.COOKIE  # kind browser only
    homepage: str = ""
    operator: str = ""  # who runs it, shown on the consent page
    checked_at: datetime | None = None  # when somebody here checked it; None: unchecked
    owner: str = "console"  # "file" | "console"
    disabled: bool = False
    created_at: datetime


class Consent(Struct, frozen=True, kw_only=True):
    id: UUID
    user_id: UUID
    client_id: str
    scopes: tuple[str, ...]
    granted_at: datetime
    until: datetime | None  # None: until the person ends it
    last_used_at: datetime | None


class Clients(Protocol):
    async def add(self, client: Client) -> bool:
        """False when the id is taken."""
        ...

    async def by_id(self, client_id: str) -> Client | None: ...

    async def all(self) -> list[Client]: ...

    async def origins(self) -> set[str]:
        """Of all that are not disabled, as they were registered."""
        ...

    async def replace_file_owned(self, clients: tuple[Client, ...]) -> None:
        """The file's clients become exactly these; those gone from it are deleted with their access."""
        ...

    async def set_disabled(self, client_id: str, disabled: bool) -> bool:
        """False when that is what it was."""
        ...

    async def delete(self, client_id: str) -> bool: ...


class Consents(Protocol):
    async def grant(self, consent: Consent) -> None:
        """Replaces an earlier consent of this person for this client."""
        ...

    async def of(self, user_id: UUID, client_id: str) -> Consent | None:
        """The living consent, or None when there is none, it was withdrawn or its time is over."""
        ...

    async def hold(self, user_id: UUID, client_id: str) -> bool:
        """Whether there is a living one, and nobody else withdraws it before this transaction is over."""
        ...

    async def of_user(self, user_id: UUID) -> list[Consent]: ...

    async def withdraw(self, user_id: UUID, client_id: str) -> list[UUID]:
        """Deletes it and ends its families in this transaction (F§6); gives the ended gids."""
        ...
