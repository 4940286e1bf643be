"""Users: who signs in. Subjects are pseudonymous ids; the e-mail is an identifier, never a key."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct


class User(Struct, frozen=True, kw_only=True):
    id: UUID
    email: str  # as typed, trimmed; compared by `identifier_key`
    email_verified: bool
    name: str
    admin: bool
    disabled: bool
    created_at: datetime
    password_changed_at: datetime | None  # None: no password


def identifier_key(email: str) -> str:
    """The one spelling under which an e-mail address is unique: NFKC, case folded, trimmed."""
    import unicodedata

    return unicodedata.normalize("NFKC", email.strip()).casefold()


class Users(Protocol):
    async def add(self, user: User, password_hash: str | None) -> bool:
        """False when the e-mail already belongs to someone; nothing is changed then."""
        ...

    async def by_id(self, user_id: UUID) -> User | None: ...

    async def by_email(self, email: str) -> User | None: ...

    async def by_email_to_sign_in(self, email: str) -> tuple[User, str | None] | None:
        """With the hash of their password, in one statement."""
        ...

    async def password_hash(self, user_id: UUID) -> str | None: ...

    async def hold_password(self, user_id: UUID, password_hash: str) -> bool:
        """Whether it is that now; and if so, nobody changes it before this transaction ends: a session that a password
        opens is there when its change ends the sessions, or is not opened."""
        ...

    async def set_password(self, user_id: UUID, password_hash: str) -> None: ...

    async def set_name(self, user_id: UUID, name: str) -> None: ...

    async def set_email(self, user_id: UUID, email: str, *, verified: bool) -> bool:
        """False when another account has the address."""
        ...

    async def set_verified(self, user_id: UUID) -> None: ...

    async def set_disabled(self, user_id: UUID, disabled: bool) -> bool:
        """False when that is what she was."""
        ...

    async def search(self, text: str, *, limit: int, offset: int) -> list[User]: ...

    async def count(self) -> int: ...

    async def any_admin(self) -> bool: ...

    async def delete(self, user_id: UUID) -> None:
        """Erases the person: row, identifiers, credentials, sessions, consents, files rows."""
        ...
