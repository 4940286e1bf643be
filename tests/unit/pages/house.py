"""A browser before the whole auth server in memory: it opens pages, finds the form, fills it in, reads its mail."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any, cast
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import msgspec
from tests.unit.auth.fake_ports import FakeClock
from tests.unit.auth.fakes import (
    FakeClients,
    FakeConsents,
    FakeEvents,
    FakeLookups,
    FakeRecords,
    FakeSessions,
    FakeStore,
    FakeUsers,
    Tables,
)
from tests.unit.auth.house import FORM, ISSUER, SETTINGS, House
from tests.unit.web.calling import Answer

from bartizan.auth import app, links, mailjobs
from bartizan.auth.passwords import POOL
from bartizan.auth.settings import AuthSettings
from bartizan.model.clients import Client, Consent, Kind
from bartizan.model.codes import Link
from bartizan.model.event import StoredEvent
from bartizan.model.job import Job
from bartizan.model.limit import Taken, Try
from bartizan.model.mail import Mail
from bartizan.model.users import User, identifier_key
from bartizan.protocol.refusal import Unavailable

PASSWORD = "walks home in the rain"
CHANGED = "sings under the shower"


class PagesTables(Tables):
    def __init__(self) -> None:
        super().__init__()
        self.links: dict[UUID, Link] = {}
        self.used: set[UUID] = set()
        self.jobs: list[Job] = []
        self.attempts: dict[bytes, int] = {}


class _Part:
    def __init__(self, tables: PagesTables, clock: FakeClock) -> None:
        self.tables = tables
        self.clock = clock


class Links(_Part):
    async def add(self, link: Link) -> None:
        self.tables.links[link.id] = link

    async def peek(self, link_id: UUID, kind: str) -> Link | None:
        link = self.tables.links.get(link_id)
        alive = link is not None and link.kind == kind and link.expires_at > self.clock()
        return link if alive and link_id not in self.tables.used else None

    async def use(self, link_id: UUID, kind: str) -> Link | None:
        link = await self.peek(link_id, kind)
        if link is not None:
            self.tables.used.add(link_id)
        return link


class Jobs(_Part):
    async def enqueue(self, job: Job, *, delay_seconds: int = 0) -> None:
        self.tables.jobs.append(job)


class Attempts(_Part):
    async def hit(self, key: bytes, *, seconds: int) -> int:
        self.tables.attempts[key] = self.tables.attempts.get(key, 0) + 1
        return self.tables.attempts[key]


class Users(FakeUsers):
    async def hold_password(self, user_id: UUID, password_hash: str) -> bool:
        return await self.password_hash(user_id) == password_hash

    def _change(self, user_id: UUID, **fields: object) -> None:
        self.tables.users[user_id] = msgspec.structs.replace(self.tables.users[user_id], **fields)

    async def set_password(self, user_id: UUID, password_hash: str) -> None:
        self.tables.hashes[user_id] = password_hash
        self._change(user_id, password_changed_at=self.clock())

    async def set_name(self, user_id: UUID, name: str) -> None:
        self._change(user_id, name=name)

    async def set_email(self, user_id: UUID, email: str, *, verified: bool) -> bool:
        owner = await self.by_email(email)
        if owner is not None and owner.id != user_id:
            return False
        self._change(user_id, email=email, email_verified=verified)
        return True

    async def set_verified(self, user_id: UUID) -> None:
        self._change(user_id, email_verified=True)

    async def set_disabled(self, user_id: UUID, disabled: bool) -> bool:
        changed = self.tables.users[user_id].disabled != disabled
        self._change(user_id, disabled=disabled)
        return changed

    async def search(self, text: str, *, limit: int, offset: int) -> list[User]:
        key = identifier_key(text)
        found = [user for user in self.tables.users.values() if key in identifier_key(user.email + user.name)]
        return found[offset : offset + limit]

    async def count(self) -> int:
        return len(self.tables.users)

    async def any_admin(self) -> bool:
        return any(user.admin for user in self.tables.users.values())


class Sessions(FakeSessions):
    async def end_all_of(self, user_id: UUID, reason: str, *, but: UUID | None = None) -> list[UUID]:
        mine = [session.id for session in await self.of_user(user_id) if session.id != but]
        return [gid for session_id in mine for gid in await self.end(session_id, reason)]


class Clients(FakeClients):
    async def set_disabled(self, client_id: str, disabled: bool) -> bool:
        before = self.tables.clients[client_id]
        self.tables.clients[client_id] = msgspec.structs.replace(before, disabled=disabled)
        return before.disabled != disabled


class Consents(FakeConsents):
    async def of_user(self, user_id: UUID) -> list[Consent]:
        return [consent for consent in self.tables.consents.values() if consent.user_id == user_id]

    async def withdraw(self, user_id: UUID, client_id: str) -> list[UUID]:
        self.tables.consents.pop((user_id, client_id), None)
        return []


class Events(FakeEvents):
    async def latest(self, *, limit: int, code: str = "", **_: object) -> list[StoredEvent]:
        found = [event for event in reversed(self.tables.events) if not code or event.code == code]
        return [
            StoredEvent(
                id=UUID(int=number),
                at=self.clock(),
                code=event.code,
                user_id=event.user_id,
                client_id=event.client_id,
                session_id=event.session_id,
                gid=event.gid,
                request_id=event.request_id,
                address_hash=None,
                network="203.0.113.0/24",
                detail=event.detail,
            )
            for number, event in enumerate(found[:limit])
        ]

    async def counts(self, codes: tuple[str, ...], *, hours: int) -> list[tuple[datetime, str, int]]:
        hour = self.clock().replace(minute=0, second=0, microsecond=0)
        return [(hour, code, sum(event.code == code for event in self.tables.events)) for code in codes]


class PagesRecords(FakeRecords):
    def __getattr__(self, name: str) -> object:
        mine: dict[str, Any] = {
            "links": Links,
            "jobs": Jobs,
            "attempts": Attempts,
            "users": Users,
            "sessions": Sessions,
            "clients": Clients,
            "consents": Consents,
            "events": Events,
        }
        return mine[name](self.tables, self.clock) if name in mine else super().__getattr__(name)


class PagesStore(FakeStore):
    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.tables: PagesTables = PagesTables()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[FakeRecords]:
        saved = self.tables.saved()
        try:
            yield PagesRecords(self.tables, self.clock)
        except BaseException:
            self.tables.restore(saved)
            raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[FakeRecords]:
        yield PagesRecords(self.tables, self.clock)

    @property
    def lookups(self) -> FakeLookups:
        return FakeLookups(PagesRecords(self.tables, self.clock))


class Limits:
    """Counts for ever; `away` is a cache that does not answer."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        self.away = False

    async def take(self, *tries: Try) -> tuple[Taken, ...]:
        if self.away:
            raise Unavailable("the cache")
        before = [self.counts.get((one.what, one.who), 0) for one in tries]
        room = [count < one.limit.amount for count, one in zip(before, tries, strict=True)]
        if all(room):
            self.counts |= {(one.what, one.who): count + 1 for one, count in zip(tries, before, strict=True)}
        return tuple(Taken(free, 0 if free else 180, count) for free, count in zip(room, before, strict=True))

    async def clear(self, what: str, who: str) -> None:
        if self.away:
            raise Unavailable("the cache")
        self.counts.pop((what, who), None)


class Passwords:
    """Notes what was verified, to show that the unknown cost what the known do."""

    def __init__(self) -> None:
        self.verified: list[str | None] = []
        self.away = 0  # seconds
        self.slow = False  # full only when its turn should come

    def full(self, who: str = "") -> int:
        return self.away

    async def hash(self, password: str) -> str:
        return f"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ${password.encode().hex()}"

    async def verify(self, password_hash: str | None, password: str, *, who: str = "") -> bool:
        if self.slow:
            raise Unavailable(POOL, 7)
        self.verified.append(password_hash)
        return password_hash == await self.hash(password)


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def send(self, mail: Mail) -> None:
        self.mails.append(mail)


class Page(HTMLParser):
    """Ids and forms of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.forms: dict[str, dict[str, str]] = {}
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._form: dict[str, str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "form":
            self._form = self.forms.setdefault(values["action"], {})
        if tag == "input" and self._form is not None and "name" in values:
            chosen = values.get("type") not in ("radio", "checkbox") or "checked" in values
            if chosen:
                self._form[values["name"]] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None


class PagesHouse(House):
    """`House` with every record that the pages need, and a browser's manners."""

    def __init__(self, settings: AuthSettings = SETTINGS) -> None:
        super().__init__()
        self.settings = settings
        tables = self.store.tables
        self.store: PagesStore = PagesStore(self.clock)
        self.store.tables.users, self.store.tables.clients = tables.users, tables.clients
        self.limits = Limits()
        self.passwords = Passwords()
        self.mailbox = Mailbox()
        self.ports = msgspec.structs.replace(
            self.ports, store=cast(Any, self.store), limits=self.limits, passwords=self.passwords
        )
        self.app = app.build(settings, self.ports)
        for user in tables.users.values():
            self.give_password(user)

    @property
    def tables(self) -> PagesTables:
        return self.store.tables

    def give_password(self, user: User, password: str = PASSWORD) -> None:
        self.tables.users[user.id] = user
        self.tables.hashes[user.id] = self.loop.run_until_complete(self.passwords.hash(password))

    def get(self, path: str) -> Answer:
        return self.call("GET", path, headers={"accept": "text/html", "sec-fetch-site": "none"})

    def page(self, path: str) -> Page:
        answer = self.get(path)
        assert answer.status == 200, (path, answer.status, answer.header("location"))
        return Page(answer.text)

    def send(self, path: str, form: dict[str, str], **headers: str) -> Answer:
        sent = {"accept": "text/html", "content-type": FORM, "sec-fetch-site": "same-origin", **headers}
        return self.call("POST", path, headers=sent, body=urlencode(form).encode())

    def submit(self, at: str, action: str, **fields: str) -> Answer:
        """Opens the page, takes the form with this action as it stands, fills in fields, posts it."""
        return self.send(action, {**self.page(at).forms[action], **fields})

    def begin(self, client: Client, **changed: str | None) -> Answer:
        """An app sends its person here."""
        if client.kind is Kind.BROWSER:
            return self.open(client, self.push(client, **changed))
        return self.authorize(client, **changed)

    def enter(self, email: str = "ada@example.test", password: str = PASSWORD) -> Answer:
        return self.submit("/signin", "/signin", identifier=email, password=password)

    def other_browser(self) -> dict[str, str]:
        """Puts this browser's cookies away; hand the result to `self.cookies` to have it back."""
        kept, self.cookies = self.cookies, {}
        return kept

    def deliver(self) -> list[Mail]:
        """Runs the mail jobs that were enqueued; gives the new mails."""
        before = len(self.mailbox.mails)
        rows = mailjobs.rows(self.settings, self.ports.store, self.ports.ring, self.mailbox)
        runs = {row.kind: row.run for row in rows}
        for job in self.tables.jobs:
            self.loop.run_until_complete(cast(Any, runs[job.kind](job)))
        self.tables.jobs.clear()
        return self.mailbox.mails[before:]

    def mailed_path(self) -> str:
        """The path of the link in the one new mail."""
        (mail,) = self.deliver()
        found = re.search(re.escape(ISSUER) + r"(/\S+/\S+)", mail.text)
        assert found, mail.text
        return found[1]

    def setup_path(self) -> str:
        link = links.new("setup", None, {}, now=self.clock(), minutes=60, chance=self.ports.chance)
        self.tables.links[link.id] = link
        return urlsplit(links.address(ISSUER, self.ports.ring.purpose("link"), link)).path

    def forward(self, **length: float) -> None:
        self.clock.now += timedelta(**length)
