"""Signing keys: published before use, kept until the last token dies. Private parts are sealed under the key ring."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from msgspec import Struct

REREAD_SECONDS = 0.5  # whoever signs looks so often which key signs; so long a replaced one is still published


class StoredKey(Struct, frozen=True, kw_only=True):
    kid: str
    algorithm: str  # ES256 | RS256 | EdDSA
    public_jwk: dict[str, str]
    sealed: bytes  # private JWK (JSON), AES-256-GCM under ring purpose "signing"
    created_at: datetime
    active_at: datetime  # signs from here on
    retired_at: datetime | None  # signs no more
    removed_at: datetime | None  # no longer published


class Keys(Protocol):
    async def published(self) -> list[StoredKey]:
        """All not removed at the database's now(), newest `active_at` first."""
        ...

    async def trusted(self) -> list[StoredKey]:
        """These, and those removed in good order: what they signed long ago still proves something. No leaked one."""
        ...

    async def known(self) -> list[StoredKey]:
        """Every one whose public part is still kept, leaked ones too: until the retention has passed."""
        ...

    async def add(self, key: StoredKey) -> None: ...

    async def start(self, kid: str, *, active_at: datetime) -> None:
        """One published ahead signs from then on; never later than it was to."""
        ...

    async def retire(self, kid: str, *, remove_at: datetime) -> None:
        """Published until then, if it is not to go earlier."""
        ...

    async def remove(self, kid: str) -> None:
        """Withdrawn at once."""
        ...

    async def lock_rotation(self) -> bool:
        """An advisory lock for this transaction: False when another rotates at this moment."""
        ...
