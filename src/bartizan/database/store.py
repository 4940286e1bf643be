"""The store over PostgreSQL (model/store.py): a pool that heals by itself, and deadlines that end in 503."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from types import TracebackType

import asyncpg
from asyncpg.exceptions import UndefinedTableError

from bartizan.database.attempts import PostgresAttempts
from bartizan.database.clients import PostgresClients
from bartizan.database.clock import DatabaseClock, counting
from bartizan.database.codes import PostgresCodes
from bartizan.database.connection import Chance, Connection
from bartizan.database.consents import PostgresConsents
from bartizan.database.daykeys import DayKeys
from bartizan.database.ended import PostgresEnded
from bartizan.database.events import PostgresEvents
from bartizan.database.families import PostgresFamilies
from bartizan.database.files import PostgresFiles
from bartizan.database.interactions import PostgresInteractions
from bartizan.database.jobs_port import PostgresJobs, backlog
from bartizan.database.keys import PostgresKeys
from bartizan.database.lifetimes import SAY, SAY_AGAIN
from bartizan.database.links import PostgresLinks
from bartizan.database.lookups import PostgresLookups
from bartizan.database.pool import Pool
from bartizan.database.pushed import PostgresPushedRequests
from bartizan.database.redemptions import PostgresRedemptions
from bartizan.database.rotations import PostgresRotations
from bartizan.database.sessions import PostgresSessions
from bartizan.database.settings import DatabaseSettings
from bartizan.database.use import Use
from bartizan.database.users import PostgresUsers
from bartizan.database.within import Within
from bartizan.model.job import Backlog
from bartizan.protocol.refusal import Unavailable
from bartizan.protocol.secrets import KeyRing


class PostgresRecords:
    """Everything, within one use of one connection."""

    __slots__ = ("_within",)

    def __init__(self, within: Within) -> None:
        self._within = within

    @property
    def users(self) -> PostgresUsers:
        return PostgresUsers(self._within)

    @property
    def sessions(self) -> PostgresSessions:
        return PostgresSessions(self._within)

    @property
    def clients(self) -> PostgresClients:
        return PostgresClients(self._within)

    @property
    def consents(self) -> PostgresConsents:
        return PostgresConsents(self._within)

    @property
    def codes(self) -> PostgresCodes:
        return PostgresCodes(self._within)

    @property
    def pushed(self) -> PostgresPushedRequests:
        return PostgresPushedRequests(self._within)

    @property
    def interactions(self) -> PostgresInteractions:
        return PostgresInteractions(self._within)

    @property
    def links(self) -> PostgresLinks:
        return PostgresLinks(self._within)

    @property
    def families(self) -> PostgresFamilies:
        return PostgresFamilies(self._within)

    @property
    def keys(self) -> PostgresKeys:
        return PostgresKeys(self._within)

    @property
    def ended(self) -> PostgresEnded:
        return PostgresEnded(self._within)

    @property
    def events(self) -> PostgresEvents:
        return PostgresEvents(self._within)

    @property
    def files(self) -> PostgresFiles:
        return PostgresFiles(self._within)

    @property
    def jobs(self) -> PostgresJobs:
        return PostgresJobs(self._within)

    @property
    def attempts(self) -> PostgresAttempts:
        return PostgresAttempts(self._within)


class Reading:
    """The records within one use without a transaction. A class for the reason that `Use` is one."""

    __slots__ = ("_use",)

    def __init__(self, use: Use) -> None:
        self._use = use

    async def __aenter__(self) -> PostgresRecords:
        return PostgresRecords(await self._use.__aenter__())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._use.__aexit__(kind, error, trace)


class PostgresStore:
    """Made by `connect`. One a process, used within one event loop."""

    def __init__(self, pool: Pool, settings: DatabaseSettings, ring: KeyRing, chance: Chance) -> None:
        self._pool = pool
        self.settings = settings
        self._chance = chance
        self._days = DayKeys(ring, chance)
        self._epoch: int | None = None
        self._say_again_at = 0.0
        self.clock = DatabaseClock()
        self._rotations = PostgresRotations(self.within)
        self._redemptions = PostgresRedemptions(self.within)
        self._lookups = PostgresLookups(self.within)

    def within(self, *, transaction: bool) -> Use:
        """One connection of the pool, in a transaction or not; every loss of the server is `Unavailable`."""
        return Use(self._pool, self.clock, self._handed, transaction)

    def _handed(self, connection: Connection) -> Within:
        return Within(connection, self.settings, self._days, self._chance, self.clock)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresRecords]:
        # failpoint: store.begin
        async with self.within(transaction=True) as handed:
            yield PostgresRecords(handed)
            # failpoint: store.commit
        # failpoint: store.committed

    def reading(self) -> Reading:
        return Reading(self.within(transaction=False))

    @property
    def rotations(self) -> PostgresRotations:
        return self._rotations

    @property
    def redemptions(self) -> PostgresRedemptions:
        return self._redemptions

    @property
    def lookups(self) -> PostgresLookups:
        return self._lookups

    async def epoch(self) -> int:
        """Every token holds it: so with the first one, and each hour from then on, all are told how long this process's
        access tokens live."""
        if self._epoch is None:
            self._epoch = await self._say()
        elif counting() >= self._say_again_at:
            with suppress(Unavailable):  # said an hour ago, that holds for a day
                await self._say()
        return self._epoch

    async def _say(self) -> int:
        self._say_again_at = counting() + SAY_AGAIN
        async with self.within(transaction=False) as handed:
            return int(await handed.connection.fetchval(SAY, self.settings.ended_seconds))

    async def backlog(self) -> list[Backlog]:
        async with self.within(transaction=False) as handed:
            return await backlog(handed)

    async def ready(self) -> bool:
        """It answers, and the schema is there. An old connection that is lost says nothing of that: a new one does."""
        for _ in range(2):
            losses = self._pool.losses
            try:
                async with self.within(transaction=False) as handed:
                    return await handed.connection.fetchval("SELECT true FROM meta") is True
            except UndefinedTableError:
                return False
            except Unavailable:
                if losses == self._pool.losses:
                    return False
        return False

    async def close(self) -> None:
        await self._lookups.close()
        await self._pool.close()


async def connect(settings: DatabaseSettings, ring: KeyRing, *, chance: Chance = os.urandom) -> PostgresStore:
    """Does not wait for the server: a process may start before it, and answers 503 until it is there."""
    opening = partial(
        asyncpg.connect,
        settings.url,
        timeout=settings.acquire_seconds,
        # The server ends a long statement; ours is the second wall, for a server that no longer answers.
        command_timeout=settings.statement_seconds + 1,
        server_settings={
            "application_name": "bartizan",
            "statement_timeout": f"{round(settings.statement_seconds * 1000)}",
            "lock_timeout": f"{round(settings.lock_seconds * 1000)}",
            "idle_in_transaction_session_timeout": "20s",
            "jit": "off",
        },
    )
    pool = Pool(opening, size=settings.pool_size, patience=settings.acquire_seconds)
    return PostgresStore(pool, settings, ring, chance)
