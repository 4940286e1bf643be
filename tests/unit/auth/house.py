"""A whole auth server in memory: one person, four clients, one browser, and the walks that tests share."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from datetime import timedelta
from typing import Any, Self, cast
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from uuid import UUID

from starlette.requests import Request
from tests.unit.auth.fake_ports import START, FakeChance, FakeClock, FakeHealth, FakeLimits, FakeMeter, FakePasswords
from tests.unit.auth.fakes import FakeStore, Tables
from tests.unit.web.calling import Answer, calling

from bartizan.auth import app, sso
from bartizan.auth.ports import AuthPorts, Chance, Clock
from bartizan.auth.settings import AuthSettings, ScopeText
from bartizan.model.clients import AuthMethod, Client, Consent, Kind, Mode
from bartizan.model.store import Store
from bartizan.model.users import User
from bartizan.protocol import jose, secrets
from bartizan.protocol.oauth import pkce
from bartizan.protocol.secrets import KeyRing

ISSUER = "http://id.localhost:8080"
APP = "http://app.localhost:8080"
PRINT_BACK = "http://print.localhost:8080/callback"
BFF_BACK = f"{APP}/bff/callback"
VERIFIER = "v" * 43
CSRF = "c" * 22
SECRET = secrets.new_secret("bzs_", bytes(32))
OTHER_SECRET = secrets.new_secret("bzs_", bytes([1]) * 32)
FORM = "application/x-www-form-urlencoded"
RING = KeyRing((("testkey1", bytes([7]) * 32),))

SETTINGS = AuthSettings(
    issuer=ISSUER,
    app_origin=APP,
    files_origin="http://files.localhost:8080",
    scopes={"photos.read": ScopeText("see your photos"), "photos.write": ScopeText("add and delete photos")},
)

USER = User(
    id=UUID(int=1),
    email="ada@example.test",
    email_verified=True,
    name="Ada",
    admin=False,
    disabled=False,
    created_at=START,
    password_changed_at=START,
)

BFF = Client(
    id="snapshots-spa",
    kind=Kind.BROWSER,
    name="Snapshots",
    auth_method=AuthMethod.BASIC,
    secret_fingerprint=None,
    redirect_uris=(BFF_BACK,),
    post_logout_redirect_uris=(f"{APP}/",),
    scopes=("openid", "profile", "email", "photos.read", "photos.write"),
    audience=(APP,),
    first_party=True,
    mode=Mode.COOKIE,
    created_at=START,
)
PRINT_SHOP = Client(
    id="print-shop",
    kind=Kind.SERVER,
    name="Print shop",
    auth_method=AuthMethod.BASIC,
    secret_fingerprint=secrets.fingerprint(SECRET),
    redirect_uris=(PRINT_BACK,),
    scopes=("openid", "profile", "offline_access", "photos.read"),
    audience=(APP,),
    origins=("http://print.localhost:8080",),
    created_at=START,
)
PHONE = Client(
    id="phone",
    kind=Kind.NATIVE,
    name="Phone",
    auth_method=AuthMethod.NONE,
    secret_fingerprint=None,
    redirect_uris=("http://127.0.0.1/cb", "com.example.phone:/cb"),
    scopes=("openid", "photos.read"),
    created_at=START,
)
AGENT = Client(
    id="agent",
    kind=Kind.AGENT,
    name="Agent",
    auth_method=AuthMethod.POST,
    secret_fingerprint=secrets.fingerprint(OTHER_SECRET),
    grants=("client_credentials",),
    scopes=("photos.read", "photos.write"),
    audience=(APP, "https://other.example"),
    created_at=START,
)


def basic(client_id: str, secret: str) -> str:
    return "Basic " + b64encode(f"{quote(client_id)}:{quote(secret)}".encode()).decode()


def ports(store: Store, clock: Clock, chance: Chance) -> AuthPorts:
    return AuthPorts(
        store=store,
        limits=FakeLimits(),
        ring=RING,
        meter=FakeMeter(),
        health=FakeHealth(),
        clock=clock,
        chance=chance,
        passwords=FakePasswords(),
    )


class House:
    def __init__(self, settings: AuthSettings = SETTINGS) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.settings = settings
        self.ports = ports(cast(Any, self.store), self.clock, FakeChance())
        self.app = app.build(settings, self.ports)
        self.loop = asyncio.new_event_loop()
        self.cookies: dict[str, str] = {}
        self.tables.users[USER.id] = USER
        for client in (BFF, PRINT_SHOP, PHONE, AGENT):
            self.tables.clients[client.id] = client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.close()

    @property
    def tables(self) -> Tables:
        return self.store.tables

    def events(self) -> list[str]:
        return [event.code for event in self.tables.events]

    def call(self, method: str, target: str, *, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """One request of this browser: it sends and keeps cookies."""
        sent = {"accept": "application/json", "x-forwarded-for": "203.0.113.7", **(headers or {})}
        if self.cookies and "cookie" not in sent:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.loop.run_until_complete(calling(self.app, method, target, headers=sent, body=body))
        for cookie in answer.all("set-cookie"):
            name, _, rest = cookie.partition("=")
            self.cookies[name] = rest.partition(";")[0]
            if "Max-Age=0" in cookie:
                del self.cookies[name]
        return answer

    def post(self, path: str, form: dict[str, str], *, authorization: str | None = None) -> Answer:
        headers = {"content-type": FORM}
        if authorization is not None:
            headers["authorization"] = authorization
        return self.call("POST", path, headers=headers, body=urlencode(form).encode())

    def secret_of(self, client: Client) -> str:
        if client.kind is Kind.BROWSER:
            return secrets.client_secret(RING.purpose("client"), client.id)
        return SECRET if client is PRINT_SHOP else OTHER_SECRET

    def as_client(self, client: Client, path: str, form: dict[str, str]) -> Answer:
        if client.auth_method is AuthMethod.NONE:
            return self.post(path, {"client_id": client.id, **form})
        if client.auth_method is AuthMethod.POST:
            return self.post(path, {"client_id": client.id, "client_secret": self.secret_of(client), **form})
        return self.post(path, form, authorization=basic(client.id, self.secret_of(client)))

    def sign_in(self) -> sso.SignedIn:
        """What the sign-in page does after the password was right."""

        async def start() -> sso.SignedIn:
            async with self.ports.store.transaction() as records:
                return await sso.start_session(records, USER, self.request(), self.ports, self.settings)

        signed_in = self.loop.run_until_complete(start())
        name, _, rest = signed_in.set_cookie.partition("=")
        self.cookies[name] = rest.partition(";")[0]
        return signed_in

    def request(self) -> Request:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = [(b"user-agent", b"Firefox/150 Linux"), (b"x-forwarded-for", b"203.0.113.7")]
        if cookie:
            headers.append((b"cookie", cookie.encode()))
        return Request({"type": "http", "method": "POST", "path": "/signin", "headers": headers, "client": None})

    def consent(self, client: Client, scopes: tuple[str, ...] | None = None) -> None:
        self.tables.consents[USER.id, client.id] = Consent(
            id=UUID(int=9),
            user_id=USER.id,
            client_id=client.id,
            scopes=client.scopes if scopes is None else scopes,
            granted_at=self.clock(),
            until=None,
            last_used_at=None,
        )

    def authorize(self, client: Client = PRINT_SHOP, **changed: str | None) -> Answer:
        """The direct way; a value of None leaves the parameter out."""
        return self.call("GET", "/authorize?" + urlencode(asked(client, **changed)))

    def push(self, client: Client = BFF, **changed: str | None) -> str:
        """RFC 9126: the request_uri."""
        answer = self.as_client(client, "/par", asked(client, bz_csrf=CSRF, **changed))
        assert answer.status == 201, answer.text
        return str(answer.json["request_uri"])

    def open(self, client: Client, request_uri: str) -> Answer:
        return self.call("GET", "/authorize?" + urlencode({"client_id": client.id, "request_uri": request_uri}))

    def code(self, client: Client = PRINT_SHOP, **changed: str | None) -> str:
        """A person who is signed in and has consented gets a code at once."""
        if SETTINGS.cookies.sso not in self.cookies:
            self.sign_in()
        if not client.first_party:
            self.consent(client)
        answer = self.open(client, self.push(client, **changed))
        assert answer.status == 303, answer.text
        return back(answer)["code"]

    def redeem(self, client: Client, code: str, **changed: str | None) -> Answer:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": VERIFIER,
            "redirect_uri": client.redirect_uris[0],
        }
        return self.as_client(client, "/token", _changed(form, changed))

    def tokens(self, client: Client = PRINT_SHOP, **changed: str | None) -> dict[str, Any]:
        answer = self.redeem(client, self.code(client, **changed))
        assert answer.status == 200, answer.text
        return answer.json

    def refresh(self, client: Client, token: str, **changed: str | None) -> Answer:
        return self.as_client(
            client, "/token", _changed({"grant_type": "refresh_token", "refresh_token": token}, changed)
        )

    def claims(self, token: str, typ: str = "at+jwt", audience: str | None = None) -> jose.Claims:
        keys = jose.key_set(self.call("GET", "/jwks").json)
        return jose.verify(
            token,
            keys,
            algorithms=("ES256",),
            typ=typ,
            issuer=ISSUER,
            audience=audience,
            now=int(self.clock().timestamp()),
        )

    def userinfo(self, token: str | None, method: str = "GET") -> Answer:
        return self.call(method, "/userinfo", headers={} if token is None else {"authorization": f"Bearer {token}"})

    def end_session(self) -> None:
        async def end() -> None:
            async with self.ports.store.transaction() as records:
                for session_id in list(self.tables.sessions):
                    await records.sessions.end(session_id, "test")

        self.loop.run_until_complete(end())

    def later(self, seconds: float) -> None:
        self.clock.now += timedelta(seconds=seconds)


def asked(client: Client, **changed: str | None) -> dict[str, str]:
    form = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": client.redirect_uris[0],
        "scope": " ".join(client.scopes),
        "state": "the state",
        "nonce": "the-nonce",
        "code_challenge": pkce.challenge(VERIFIER),
        "code_challenge_method": "S256",
    }
    return _changed(form, changed)


def _changed(form: dict[str, str], changed: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**form, **changed}.items() if value is not None}


def back(answer: Answer) -> dict[str, str]:
    """The parameters of the redirect to the client."""
    query = urlsplit(answer.header("location") or "").query
    return {name: values[0] for name, values in parse_qs(query, strict_parsing=True).items()}
