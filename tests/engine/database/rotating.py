"""Families that are rotated by the store, and what came of it."""

from __future__ import annotations

from uuid import UUID

from tests.fixtures.records import (
    AGED,
    a_client,
    a_family,
    a_user,
    add_family,
)

from bartizan.database.store import PostgresStore
from bartizan.model.families import Family, Outcome, Rotation

IDLE = 14 * 86_400


async def started(store: PostgresStore, **fields: object) -> Family:
    """A person, a client, a family."""
    user, client = a_user(), a_client()
    async with store.transaction() as records:
        await records.users.add(user, None)
        await records.clients.add(client)
        family = a_family(user, client, **fields)
        await add_family(records, family)
    return family


async def present(store: PostgresStore, family: Family, generation: int) -> Rotation:
    return await store.rotations.rotate(family.id, generation, family.client_id, key_id="testkey2", idle_seconds=IDLE)


async def age(store: PostgresStore, family: Family) -> None:
    """As if the last rotations lay past the grace."""
    async with store.within(transaction=False) as handed:
        await handed.connection.execute(AGED, family.id)


async def go_on(store: PostgresStore, family: Family) -> None:
    """Twice, each past the grace of what was before: generation 1 is an old one then."""
    for generation in (1, 2):
        assert (await present(store, family, generation)).outcome is Outcome.ROTATED
        await age(store, family)


async def is_listed(store: PostgresStore, gid: UUID) -> bool:
    async with store.reading() as records:
        return await records.ended.contains(gid)


async def events(store: PostgresStore, family: Family) -> list[str]:
    async with store.reading() as records:
        return [event.code for event in await records.events.latest(limit=20, user_id=family.user_id)]


async def mails(store: PostgresStore, family: Family) -> int:
    async with store.within(transaction=False) as handed:
        found: int = await handed.connection.fetchval(
            """
            SELECT count(*) FROM pgqueuer
            WHERE entrypoint = 'mail.theft' AND convert_from(payload, 'UTF8')::jsonb->'detail'->>'gid' = $1
            """,
            str(family.id),
        )
        return found
