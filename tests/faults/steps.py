"""What people and clients do, over HTTP against a node: the walks whose every step the fault tests break.

A step gives the `Answer`, whatever it was; `status` 0 means that the connection broke. People, sessions and families
are planted by SQL where their making is not what is tested.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import asyncpg
from msgspec import Struct
from tests.fixtures.nodes import BACK, ISSUER, SECRET, House, Node, Site
from tests.fixtures.records import AGED, a_family, a_session, a_user, add_family
from tests.fixtures.wire import Answer

from bartizan.auth.passwords import PasswordPool
from bartizan.database.settings import DatabaseSettings
from bartizan.database.store import PostgresStore, connect
from bartizan.model.families import Family
from bartizan.model.sessions import Session
from bartizan.model.users import User
from bartizan.protocol import secrets
from bartizan.protocol.oauth import refresh
from bartizan.protocol.oauth.pkce import challenge
from bartizan.protocol.secrets import Ring
from bartizan.protocol.web import cookies

T = TypeVar("T")

FORM = {"content-type": "application/x-www-form-urlencoded"}
NAMES = cookies.names("http://app.localhost:8080")
PASSWORD = "three calm green lanterns"
VERIFIER = "v" * 64


def basic(client: str, secret: str = SECRET) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()}


def derived_secret(site: Site, key_id: str, client: str) -> str:
    """Of a client of kind browser, as a node derives it whose newest ring key is this one."""
    key = site.ring().purpose("client").by_id(key_id)
    assert key is not None
    return secrets.client_secret(Ring(((key_id, key),)), client)


class Person(Struct, frozen=True):
    user: User
    session: Session
    cookie: str  # of the sign-on session, as a browser sends it


def within(site: House, work: Callable[[PostgresStore], Awaitable[T]]) -> T:
    """By the store itself, past the nodes."""

    async def run() -> T:
        store = await connect(DatabaseSettings(url=site.url), site.ring())
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def rows(site: House, query: str, *arguments: object) -> list[dict[str, Any]]:
    """Plain SQL, for what a test counts."""

    async def run() -> list[dict[str, Any]]:
        connection: Any = await asyncpg.connect(site.url)  # type: ignore[no-untyped-call]  # theirs
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    return asyncio.run(run())


def people(site: House, number: int = 1, *, password: bool = False) -> list[Person]:
    """Signed in, each in a browser of their own. With `password` they can also sign in by the page (20 ms each)."""

    async def plant(store: PostgresStore) -> list[Person]:
        digest = await PasswordPool().hash(PASSWORD) if password else "no password"
        planted = []
        async with store.transaction() as records:
            for _ in range(number):
                user = a_user()
                secret = secrets.new_secret("bzo_", os.urandom(32))
                session = a_session(user)
                await records.users.add(user, digest)
                await records.sessions.add(session, secrets.fingerprint(secret))
                planted.append(Person(user, session, f"{cookies.names(site.app).sso}={secret}"))
        return planted

    return within(site, plant)


def family(site: Site, person: Person, client: str = "shop", **fields: Any) -> tuple[Family, str]:
    """A planted grant and its refresh token."""
    ring = site.ring().purpose(refresh.PURPOSE)
    given = {"session_id": person.session.id, "key_id": ring.newest[0], "scopes": ("openid", "photos.read")} | fields

    async def plant(store: PostgresStore) -> Family:
        async with store.transaction() as records:
            found = await records.clients.by_id(client)
            assert found is not None, f"no client {client}: start a node first"
            made = a_family(person.user, found, **given)
            await add_family(records, made)
            return made

    made = within(site, plant)
    return made, token_of(site, made.id, made.generation)


def token_of(site: Site, family_id: UUID, generation: int) -> str:
    ring = site.ring().purpose(refresh.PURPOSE)
    said = refresh.encode(ring, refresh.RefreshToken(ring.newest[0], 1, family_id, generation))
    assert said is not None
    return said


def authorize(node: Node, person: Person | None, client: str = "shop", **more: str) -> Answer:
    """GET /authorize, as the browser of that person. With a living session: 303 with a code."""
    asked = {
        "response_type": "code", "client_id": client, "redirect_uri": BACK, "scope": "openid photos.read",
        "state": "st", "code_challenge": challenge(VERIFIER), "code_challenge_method": "S256", **more,
    }  # fmt: skip
    headers = {} if person is None else {"cookie": person.cookie}
    return node.ask("GET", f"/authorize?{urlencode(asked)}", headers={"sec-fetch-site": "cross-site", **headers})


def code_in(answer: Answer) -> str:
    found = parse_qs(urlsplit(answer.headers["location"]).query)
    assert "code" in found, answer
    return found["code"][0]


def token(node: Node, client: str = "shop", **fields: str) -> Answer:
    return node.ask("POST", "/token", headers={**FORM, **basic(client)}, body=urlencode(fields).encode())


def redeem(node: Node, code: str, client: str = "shop") -> Answer:
    return token(node, client, grant_type="authorization_code", code=code, code_verifier=VERIFIER, redirect_uri=BACK)


def refreshed(node: Node, refresh_token: str, client: str = "shop") -> Answer:
    return token(node, client, grant_type="refresh_token", refresh_token=refresh_token)


def credentials(node: Node) -> Answer:
    return token(node, "agent", grant_type="client_credentials")


def age(site: House, family_id: UUID) -> None:
    """What was rotated until now lies past the grace."""
    rows(site, AGED, family_id)


def introspect(node: Node, presented: str, client: str = "shop") -> Answer:
    body = urlencode({"token": presented}).encode()
    return node.ask("POST", "/introspect", headers={**FORM, **basic(client)}, body=body)


def revoke(node: Node, presented: str, client: str = "shop") -> Answer:
    body = urlencode({"token": presented}).encode()
    return node.ask("POST", "/revoke", headers={**FORM, **basic(client)}, body=body)


def userinfo(node: Node, access_token: str) -> Answer:
    return node.ask("GET", "/userinfo", headers={"authorization": f"Bearer {access_token}"})


class Browser:
    """At the `id` origin, to walk its forms: cookies kept, hidden fields filled in."""

    def __init__(self, node: Node, cookie: str = "") -> None:
        self.node = node
        self.jar = dict(pair.split("=", 1) for pair in cookie.split("; ") if pair)

    def get(self, path: str) -> Answer:
        return self._kept(self.node.ask("GET", path, headers=self._headers("cross-site")))

    def submit(self, page: Answer, action: str, **fields: str) -> Answer:
        """Posts the form of `page` that leads to `action`, its hidden fields taken over."""
        given = hidden(page) | fields
        headers = {**self._headers("same-origin"), **FORM, "origin": ISSUER}
        return self._kept(self.node.ask("POST", action, headers=headers, body=urlencode(given).encode()))

    def _headers(self, site: str) -> dict[str, str]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        return {"accept": "text/html", "sec-fetch-site": site, "sec-fetch-mode": "navigate"} | (
            {"cookie": cookie} if cookie else {}
        )

    def _kept(self, answer: Answer) -> Answer:
        keep(self.jar, answer.cookies)
        return answer


def keep(jar: dict[str, str], set_cookies: Iterable[str]) -> None:
    """As a browser does, as soon as the head of the answer is whole."""
    for line in set_cookies:
        pair, _, attributes = line.partition(";")
        name, _, value = pair.partition("=")
        if "max-age=0" in attributes.lower() or not value:
            jar.pop(name, None)
        else:
            jar[name] = value


_HIDDEN = re.compile(r'<input[^>]*type="hidden"[^>]*>')
_ATTRIBUTE = re.compile(r'(name|value)="([^"]*)"')


def hidden(page: Answer) -> dict[str, str]:
    found = {}
    for one in _HIDDEN.findall(page.body.decode()):
        attributes = dict(_ATTRIBUTE.findall(one))
        found[attributes["name"]] = attributes.get("value", "")
    return found


def sign_in(browser: Browser, person: Person, password: str = PASSWORD) -> Answer:
    page = browser.get("/signin")
    return browser.submit(page, "/signin", identifier=person.user.email, password=password)
