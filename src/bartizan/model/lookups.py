"""Reads of the hot paths, which concurrent requests share: as fresh as a statement of one's own, begun after asking.

But for clients: these are held."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from msgspec import Struct

from bartizan.model.clients import Client
from bartizan.model.sessions import Session
from bartizan.model.users import User


class Standing(Struct, frozen=True):
    """What an access token hangs on, now."""

    ended: bool
    user: User | None  # None also for a client's own token


class Lookups(Protocol):
    """Each owns its connection, so that many who ask at once are answered by one statement."""

    async def client(self, client_id: str) -> Client | None:
        """As it was a second and a half ago or later; one that was just made is known at once.

        One that was disabled a moment ago has lost its families in the same transaction. What it can still get in that
        time is a token of its own by client_credentials.
        """
        ...

    async def standing(self, gid: UUID, user_id: UUID | None) -> Standing:
        """Whether the gid is listed as ended, and who the person is."""
        ...

    async def signed_in(self, fingerprint: bytes) -> tuple[Session, User] | None:
        """The living sign-on session of this cookie, and whose it is; None also when that person is disabled."""
        ...
