"""People, sessions, families and codes by SQL, many at once: what is tested begins after their making."""

from __future__ import annotations

import asyncio
import os
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import Struct
from tests.faults.steps import VERIFIER, basic
from tests.fixtures.nodes import BACK, House
from tests.fixtures.records import new_id

from bartizan.protocol import secrets
from bartizan.protocol.oauth import refresh
from bartizan.protocol.oauth.pkce import challenge
from bartizan.protocol.web import cookies

SCOPES = ["openid", "photos.read"]


class Grant(Struct, frozen=True, kw_only=True):
    """What its holder has in hand at the beginning: a refresh token of generation 1, or a code that will buy one."""

    number: int
    client: str
    family: UUID  # of a code: not yet there
    token: str
    code: str
    cookie: str  # of the session, at id
    cookie_name: str
    session: UUID

    @property
    def bff(self) -> bool:
        return self.client == "app"


def authorization(site: House, client: str) -> dict[str, str]:
    """The client's own header. The BFF's secret comes of the ring."""
    if client != "app":
        return basic(client)
    secret = secrets.client_secret(site.ring().purpose("client"), client)
    return basic(client, secret)


def plant(site: House, number: int, *, codes: bool = True) -> list[Grant]:
    """Half begin as a code of the shop's; the others are the BFF's and the shop's."""
    ring = site.ring().purpose(refresh.PURPOSE)
    key_id = ring.newest[0]
    cookie_name = cookies.names(site.app).sso
    grants = []
    for one in range(number):
        family, client = new_id(), "app" if one % 4 == 1 else "shop"
        code = secrets.new_secret("bzc_", os.urandom(32)) if codes and one % 2 == 0 else ""
        token = refresh.encode(ring, refresh.RefreshToken(key_id, 1, family, 1))
        cookie = secrets.new_secret("bzo_", os.urandom(32))
        grants.append(
            Grant(
                number=one,
                client=client,
                family=family,
                token="" if code else token or "",
                code=code,
                cookie=cookie,
                cookie_name=cookie_name,
                session=new_id(),
            )
        )
    asyncio.run(_write(site, grants, key_id))
    return grants


async def _write(site: House, grants: list[Grant], key_id: str) -> None:
    connection: Any = await asyncpg.connect(site.url)  # type: ignore[no-untyped-call]  # theirs
    users = [new_id() for _ in grants]
    sessions = [grant.session for grant in grants]
    emails = [f"{user.hex[-12:]}@example.com" for user in users]
    prints = [secrets.fingerprint(grant.cookie) for grant in grants]
    planted = [(g, user) for g, user in zip(grants, users, strict=True) if not g.code]
    coded = [(g, user) for g, user in zip(grants, users, strict=True) if g.code]
    try:
        async with connection.transaction():
            await connection.execute(_USERS, users)
            await connection.execute(_IDENTIFIERS, users, emails)
            await connection.execute(_SESSIONS, sessions, users, prints)
            await connection.execute(
                _FAMILIES, [g.family for g, _ in planted], [user for _, user in planted],
                [g.client for g, _ in planted], [g.session for g, _ in planted], key_id, SCOPES, [site.app],
            )  # fmt: skip
            await connection.execute(
                _CODES, [secrets.fingerprint(g.code) for g, _ in coded], [user for _, user in coded],
                [g.session for g, _ in coded], challenge(VERIFIER), SCOPES, [site.app], BACK,
            )  # fmt: skip
    finally:
        await connection.close()


_USERS = "INSERT INTO users (id, name, created_at) SELECT unnest($1::uuid[]), 'Ada', now()"
_IDENTIFIERS = """
    INSERT INTO identifiers (key, user_id, email, verified)
    SELECT email, id, email, true FROM unnest($1::uuid[], $2::text[]) AS one (id, email)
"""
_SESSIONS = """
    INSERT INTO sessions (id, user_id, fingerprint, created_at, auth_time, last_seen_at, expires_at, device, network)
    SELECT id, user_id, print, now(), now(), now(), now() + interval '90 days', 'Firefox on Linux', '203.0.113.0/24'
    FROM unnest($1::uuid[], $2::uuid[], $3::bytea[]) AS one (id, user_id, print)
"""
_FAMILIES = """
    INSERT INTO families (id, user_id, client_id, session_id, scopes, audience, bff, auth_time, generation, key_id,
                          created_at, rotated_at, idle_until, absolute_until)
    SELECT id, user_id, client, session, $6::text[], $7::text[], client = 'app', now(), 1, $5, now(), now(),
           now() + interval '14 days', now() + interval '90 days'
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[]) AS one (id, user_id, client, session)
"""
_CODES = """
    INSERT INTO codes (fingerprint, client_id, user_id, session_id, redirect_uri, code_challenge, scopes, audience,
                       auth_time, expires_at)
    SELECT print, 'shop', user_id, session, $7, $4, $5::text[], $6::text[], now(), now() + interval '1 hour'
    FROM unnest($1::bytea[], $2::uuid[], $3::uuid[]) AS one (print, user_id, session)
"""


def sso(grant: Grant) -> dict[str, str]:
    return {"cookie": f"{grant.cookie_name}={grant.cookie}"}
