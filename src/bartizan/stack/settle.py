"""What `up` puts right before the first request: the file's clients, the first admin's link, the demo's people."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

from bartizan.auth import links
from bartizan.auth.ports import Passwords
from bartizan.model.event import Event
from bartizan.model.store import Records, Store
from bartizan.model.users import User
from bartizan.protocol.secrets import KeyRing, uuid7
from bartizan.stack import compile as compiled
from bartizan.stack.effective import Effective
from bartizan.stack.origins import origins
from bartizan.stack.people import PEOPLE, Person, new_password
from bartizan.stack.settled import Settled

_SETUP_MINUTES = 30


async def settle(at: Effective, store: Store, ring: KeyRing, passwords: Passwords) -> Settled:
    rows = compiled.clients(at, ring)
    people = _words(at)
    digests = await asyncio.gather(*(passwords.hash(word) for _, word in people))
    hashes = [(person, word, digest) for (person, word), digest in zip(people, digests, strict=True)]
    async with store.transaction() as records:
        await records.clients.replace_file_owned(rows)
        fresh = [user for person, _, digest in hashes if (user := await _seat(records, person, digest)) is not None]
        # failpoint: settle.seated
    if fresh:
        from bartizan.stack.plant import plant  # brings Pillow along: needed once in a data directory's life

        await plant(at, store, fresh[0].id)
    link, until = await setup_link(at, store, ring)
    shown = tuple((person.email, word, person.remark) for person, word in people)
    return Settled(setup=link, setup_until=until, people=shown)


async def clients_alone(at: Effective, store: Store, ring: KeyRing) -> None:
    """A restart, or a server by itself."""
    rows = compiled.clients(at, ring)
    async with store.transaction() as records:
        await records.clients.replace_file_owned(rows)


async def setup_link(at: Effective, store: Store, ring: KeyRing) -> tuple[str, str]:
    """A link that makes its holder the administrator, once, within half an hour; ("", "") when there is one."""
    now = datetime.now(UTC)
    async with store.transaction() as records:
        if await records.users.any_admin():
            return "", ""
        link = links.new("setup", None, {}, now=now, minutes=_SETUP_MINUTES, chance=secrets.token_bytes)
        await records.links.add(link)
    until = (now + timedelta(minutes=_SETUP_MINUTES)).astimezone()
    return links.address(origins(at.config).id, ring.purpose("link"), link), until.strftime("%H:%M")


def _words(at: Effective) -> list[tuple[Person, str]]:
    return [(person, new_password()) for person in PEOPLE] if at.demo else []


async def _seat(records: Records, person: Person, digest: str) -> User | None:
    """Makes the person, and gives them; a known one gets the new password: the old one is no longer on any card."""
    now = datetime.now(UTC)
    found = await records.users.by_email(person.email)
    if found is None:
        found = User(
            id=uuid7(int(now.timestamp() * 1000), secrets.token_bytes(10)),
            email=person.email,
            email_verified=True,
            name=person.name,
            admin=False,
            disabled=person.locked,
            created_at=now,
            password_changed_at=now,
        )
        await records.users.add(found, digest)
        await records.events.record(Event(code="user.created", user_id=found.id, detail={"by": "demo"}))
        return found
    await records.users.set_password(found.id, digest)
    await records.users.set_disabled(found.id, person.locked)
    return None
