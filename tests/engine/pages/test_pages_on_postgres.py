"""The pages over a real PostgreSQL: what the fakes cannot show, that every statement behind them runs and agrees."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import msgspec
import pytest
from tests.fixtures.records import a_client, a_consent, a_user
from tests.unit.auth.house import ISSUER, RING
from tests.unit.pages.house import CHANGED, PASSWORD, PagesHouse

from bartizan.auth import app, links
from bartizan.database.settings import DatabaseSettings
from bartizan.database.store import PostgresStore, connect
from bartizan.model.clients import Client
from bartizan.model.codes import Link
from bartizan.model.users import User

pytestmark = pytest.mark.engine


class RealHouse(PagesHouse):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.real: PostgresStore = self.loop.run_until_complete(connect(DatabaseSettings(url=url), RING))
        self.ports = msgspec.structs.replace(
            self.ports, store=self.real, clock=lambda: datetime.now(UTC), chance=os.urandom
        )
        self.app = app.build(self.settings, self.ports)

    def __exit__(self, *unused: object) -> None:
        self.loop.run_until_complete(self.real.close())
        super().__exit__(*unused)

    def person(self, **fields: object) -> User:
        user = a_user(password_changed_at=datetime.now(UTC), **fields)

        async def add() -> None:
            async with self.real.transaction() as records:
                await records.users.add(user, await self.passwords.hash(PASSWORD))

        self.loop.run_until_complete(add())
        return user

    def allow(self, user: User, client: Client) -> None:
        async def add() -> None:
            async with self.real.transaction() as records:
                await records.clients.add(client)
                await records.consents.grant(a_consent(user, client))

        self.loop.run_until_complete(add())

    def newest_link(self) -> str:
        """The path that the mail would name."""

        async def look() -> tuple[UUID, str]:
            connection: asyncpg.Connection = await asyncpg.connect(self.url)  # type: ignore[no-untyped-call]  # theirs
            try:
                row = await connection.fetchrow("SELECT id, kind FROM links ORDER BY created_at DESC LIMIT 1")  # type: ignore[no-untyped-call]  # theirs
            finally:
                await connection.close()  # type: ignore[no-untyped-call]  # theirs
            assert row is not None
            return row["id"], row["kind"]

        link_id, kind = self.loop.run_until_complete(look())
        now = datetime.now(UTC)
        link = Link(id=link_id, kind=kind, user_id=None, detail={}, created_at=now, expires_at=now)
        return urlsplit(links.address(ISSUER, RING.purpose("link"), link)).path


@pytest.fixture
def house(empty_database_url: str) -> Iterator[RealHouse]:
    with RealHouse(empty_database_url) as made:
        assert isinstance(made, RealHouse)
        yield made


def test_sign_up_verify_change_reset(house: RealHouse) -> None:
    form = {"name": "Dana", "email": "dana@example.test", "password": PASSWORD}
    assert house.submit("/signup", "/signup", **form).header("location") == "/check-mail"
    link = house.newest_link()
    assert house.submit(link, link).header("location") == "/account"
    assert house.get(link).status == 410
    assert house.submit("/account", "/account/profile", name="Dana H.").status == 303
    assert 'value="Dana H."' in house.get("/account").text
    assert house.submit("/account", "/account/profile", email="dana@new.example", password=PASSWORD).status == 303
    link = house.newest_link()
    assert house.submit(link, link).header("location") == "/account?said=email#profile"
    house.other_browser()
    house.submit("/reset", "/reset", identifier="dana@new.example")
    link = house.newest_link()
    assert house.submit(link, link, password=CHANGED).header("location") == "/signin?said=password"
    assert house.enter("dana@new.example", PASSWORD).status == 400
    assert house.enter("dana@new.example", CHANGED).status == 303


def test_a_mailed_reset_dies_with_the_password_or_the_address_it_was_for(house: RealHouse) -> None:
    """Somebody read along in the mailbox: after the person has acted, what lies there opens nothing."""
    user = house.person(email="dana@example.test")
    links = []
    for _ in range(2):
        house.submit("/reset", "/reset", identifier=user.email)
        links.append(house.newest_link())
    assert house.submit(links[1], links[1], password=CHANGED).header("location") == "/signin?said=password"
    assert house.get(links[0]).status == 410, "the other link of two"

    house.submit("/reset", "/reset", identifier=user.email)
    link = house.newest_link()
    house.enter(user.email, CHANGED)
    form = {"current": CHANGED, "new": PASSWORD}
    assert house.submit("/account", "/account/password", **form).status == 303
    assert house.get(link).status == 410, "the password was changed since"

    house.submit("/reset", "/reset", identifier=user.email)
    link = house.newest_link()
    house.submit("/account", "/account/profile", email="dana@new.example", password=PASSWORD)
    change = house.newest_link()
    assert house.submit(change, change).header("location") == "/account?said=email#profile"
    assert house.get(link).status == 410, "it lies in the mailbox of the old address"


def test_an_address_that_has_an_account_and_the_limits_without_a_cache(house: RealHouse) -> None:
    user = house.person()
    house.limits.away = True
    form = {"name": "Eve", "email": user.email, "password": PASSWORD}
    assert house.submit("/signup", "/signup", **form).header("location") == "/check-mail"
    assert house.submit("/check-mail", "/check-mail").status == 303
    for _ in range(10):
        assert house.enter(user.email, "not the password").status == 400
    assert house.enter(user.email).status == 429


def test_the_account_page_ends_sessions_and_apps(house: RealHouse) -> None:
    user, client = house.person(), a_client(scopes=("photos.read",))
    house.allow(user, client)
    house.enter(user.email)
    first = house.other_browser()
    house.enter(user.email)
    text = house.get("/account").text
    assert client.name in text
    assert house.submit("/account", f"/account/apps/{client.id}/end").status == 303
    assert "No app has access." in house.get("/account").text
    assert house.submit("/account", "/account/sessions/end-others").status == 303
    house.cookies = first
    assert house.get("/account").status == 303


def test_every_page_of_the_console(house: RealHouse) -> None:
    admin, user, client = house.person(admin=True), house.person(), a_client()
    house.allow(user, client)
    house.enter(user.email, "not the password")
    house.enter(user.email)
    house.other_browser()
    house.enter(admin.email)
    for path in (
        "/admin", "/admin/events", f"/admin/events?user={user.id}&severity=note", "/admin/keys", "/admin/clients",
        f"/admin/users?q={user.email}", f"/admin/users/{user.id}", f"/admin/clients/{client.id}",
        "/admin/events?before=2030-01-01T00%3A00%3A00%2B00%3A00", f"/admin/users/{user.id}/lock",
    ):  # fmt: skip
        assert house.get(path).status == 200, path
    page = f"/admin/users/{user.id}"
    assert house.submit(f"{page}/lock", f"{page}/lock").status == 303
    assert "Locked" in house.get(page).text
    disable = f"/admin/clients/{client.id}/disable"
    assert house.submit(disable, disable).status == 303
    assert "client.disabled" in house.get("/admin/events").text
    house.other_browser()
    assert house.enter(user.email).status == 400


def test_the_console_signs_everybody_else_out(house: RealHouse) -> None:
    admin, user = house.person(admin=True), house.person()
    house.enter(user.email)
    theirs = house.other_browser()
    house.enter(admin.email)
    assert "Sign everybody else out" in house.get("/admin/sessions").text
    answer = house.submit("/admin/sessions", "/admin/sessions/end-others")
    assert answer.header("location") == "/admin/sessions?said=ended"
    assert "is ended" in house.get("/admin/sessions?said=ended").text, "and this session goes on"
    assert "sessions.ended" in house.get("/admin/events").text
    house.cookies = theirs
    assert house.get("/account").status == 303
