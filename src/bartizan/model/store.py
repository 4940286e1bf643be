"""The store: transactions over all records. Never wait for a second connection with one in hand."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bartizan.model.clients import Clients, Consents
from bartizan.model.codes import Codes, Interactions, Links, PushedRequests, Redemptions
from bartizan.model.ended import Ended
from bartizan.model.event import Events
from bartizan.model.families import Families, Rotations
from bartizan.model.files import Files
from bartizan.model.job import Backlog, Jobs
from bartizan.model.keys import Keys
from bartizan.model.lookups import Lookups
from bartizan.model.sessions import Sessions
from bartizan.model.users import Users


class Attempts(Protocol):
    """Sign-in tries when the cache is away: a counter in PostgreSQL. Keys arrive hashed."""

    async def hit(self, key: bytes, *, seconds: int) -> int:
        """Counts one; gives the number in the running window."""
        ...


class Records(Protocol):
    """Everything, within one transaction."""

    @property
    def users(self) -> Users: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def clients(self) -> Clients: ...
    @property
    def consents(self) -> Consents: ...
    @property
    def codes(self) -> Codes: ...
    @property
    def pushed(self) -> PushedRequests: ...
    @property
    def interactions(self) -> Interactions: ...
    @property
    def links(self) -> Links: ...
    @property
    def families(self) -> Families: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def ended(self) -> Ended: ...
    @property
    def events(self) -> Events: ...
    @property
    def files(self) -> Files: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def attempts(self) -> Attempts: ...


class Store(Protocol):
    def transaction(self) -> AbstractAsyncContextManager[Records]:
        """Commits on a clean exit, rolls back on any exception. Raises Unavailable when the database is away."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Records]:
        """A connection without a transaction block: for one statement that reads or is atomic by itself."""
        ...

    @property
    def rotations(self) -> Rotations: ...

    @property
    def redemptions(self) -> Redemptions: ...

    @property
    def lookups(self) -> Lookups: ...

    async def epoch(self) -> int:
        """The deployment's epoch (flows §8), cached; raised only by restore."""
        ...

    async def backlog(self) -> list[Backlog]: ...

    async def ready(self) -> bool: ...
