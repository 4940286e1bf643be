"""Honest data by COPY: people, clients, sessions and families, as many as asked for, then VACUUM ANALYZE.

Families, of which there may be ten million, are made by PostgreSQL itself (`bulk`); a test holds them against `Cast`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from argon2 import PasswordHasher

from bartizan.protocol.secrets import fingerprint
from benchmarks import bulk, cast
from benchmarks.cast import FAMILY, SESSION, USER, Cast, sql_id

_NULL = r"\N"
_IDLE, _ABSOLUTE = timedelta(days=14), timedelta(days=90)
_LINES = 5_000  # of one piece


async def plant(connection: Any, beside: Any, members: Cast, *, audience: str, key_id: str) -> None:
    """On a database that no benchmark has filled before, by two sessions."""
    now = datetime.now(UTC)
    await _copy(connection, "users", ("id", "name", "created_at"), _users(members, now))
    await _copy(connection, "identifiers", ("key", "user_id", "email", "verified"), _identifiers(members))
    await _copy(connection, "credentials", ("user_id", "password", "changed_at"), _credentials(members, now))
    await _copy(connection, "clients", _CLIENT, _clients(members, audience, now))
    await plant_sessions(connection, members, range(members.sessions), now)
    await bulk.build(beside, connection, "families", "families_made", families(members, audience, key_id, now))
    await bulk.exchange(connection, "families", "families_made", "families_empty")
    await connection.execute("DROP TABLE families_empty")
    await _copy(connection, "families", _FAMILY, _browsers(members, audience, key_id, now))
    await connection.execute("VACUUM (ANALYZE)")


async def plant_sessions(connection: Any, members: Cast, numbers: range, now: datetime) -> None:
    await _copy(connection, "sessions", _SESSION, _sessions(members, numbers, now))


async def _copy(connection: Any, table: str, columns: tuple[str, ...], lines: Iterator[str]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        while piece := "".join(islice(lines, _LINES)):
            yield piece.encode()

    await connection.copy_to_table(table, source=pieces(), columns=list(columns))


def _users(members: Cast, now: datetime) -> Iterator[str]:
    for number in range(members.users):
        yield f"{members.user_id(number).hex}\tPerson {number}\t{now}\n"


def _identifiers(members: Cast) -> Iterator[str]:
    for number in range(members.users):
        email = members.email(number)
        yield f"{email}\t{members.user_id(number).hex}\t{email}\tt\n"


def _credentials(members: Cast, now: datetime) -> Iterator[str]:
    """One hash for all: what a verification costs does not depend on whose it is."""
    made = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16)
    tail = f"\t{made.hash(cast.PASSWORD)}\t{now}\n"
    for number in range(members.users):
        yield members.user_id(number).hex + tail


_CLIENT = (
    "id", "secret_fingerprint", "name", "kind", "auth_method", "redirect_uris", "post_logout_redirect_uris",
    "redirect_onward", "origins", "grants", "scopes", "audience", "first_party", "mode", "homepage", "operator",
    "owner", "disabled", "created_at",
)  # fmt: skip


def _clients(members: Cast, audience: str, now: datetime) -> Iterator[str]:
    """Confidential, first party, PKCE as everybody: all the paths of the benchmark are open to each of them."""
    grants = "{authorization_code,refresh_token,client_credentials}"
    scopes = "{" + ",".join(cast.OPENID) + "}"
    tail = (
        f"\tserver\tclient_secret_basic\t{{{cast.REDIRECT}}}\t{{}}\t{{}}\t{{}}\t{grants}\t{scopes}\t{{{audience}}}"
        f"\tt\tcookie\t\t\tconsole\tf\t{now}\n"
    )
    for number in range(members.clients):
        secret = _bytes(fingerprint(members.client_secret(number)))
        yield f"{members.client_id(number)}\t{secret}\tClient {number}{tail}"


_SESSION = (
    "id", "user_id", "fingerprint", "created_at", "auth_time", "last_seen_at", "expires_at", "device", "network",
)  # fmt: skip


def _sessions(members: Cast, numbers: range, now: datetime) -> Iterator[str]:
    """The first half of them began two days ago, so that an operator can end these and not the others."""
    rest = f"\t{now}\t{now}\t{now + timedelta(days=90)}\tFirefox on Linux\t198.18.0.0/24\n"
    old, young = f"\t{now - timedelta(days=2)}{rest}", f"\t{now}{rest}"
    for number in numbers:
        tail = old if members.is_old(number) else young
        user = members.user_id(number % members.users).hex
        secret = _bytes(fingerprint(members.session_secret(number)))
        yield f"{members.session_id(number).hex}\t{user}\t{secret}{tail}"


_FAMILY = (
    "id", "user_id", "client_id", "session_id", "scopes", "audience", "csrf", "bff", "nonce", "auth_time",
    "generation", "key_id", "created_at", "rotated_at", "idle_until", "absolute_until",
)  # fmt: skip


_MADE = f"""
    SELECT {sql_id(FAMILY, "n")}, {sql_id(USER, "(n % $2 % $3)")}, 'bench-' || lpad((n * 7919 % $4)::text, 5, '0'),
        {sql_id(SESSION, "(n % $2)")}, CASE n % 2 WHEN 1 THEN $5::text[] ELSE $6::text[] END, ARRAY[$7::text],
        NULL::text, false, NULL::text, $8::timestamptz, 1, $9::text, $8::timestamptz, $8::timestamptz,
        $8::timestamptz + interval '{_IDLE.days} days', $8::timestamptz + interval '{_ABSOLUTE.days} days'
    FROM generate_series(0, $1::bigint - 1) AS n
"""


def families(members: Cast, audience: str, key_id: str, now: datetime) -> bulk.Rows:
    """Of the first generation, with the product's own times."""
    if members.clients > 100_000:
        raise ValueError("a client's name has five digits here")
    given = (
        members.families, members.sessions, members.users, members.clients, list(cast.OPENID), list(cast.API),
        audience, now, key_id,
    )  # fmt: skip
    return bulk.Rows(columns=_FAMILY, query=_MADE, parameters=given)


def _browsers(members: Cast, audience: str, key_id: str, now: datetime) -> Iterator[str]:
    """The BFF's: cookie tokens, with a CSRF value."""
    times = f"{now}\t{now}\t{now + _IDLE}\t{now + _ABSOLUTE}"
    tail = f"\tt\t{_NULL}\t{now}\t1\t{key_id}\t{times}\n"
    scopes = ",".join(cast.OPENID)
    for number in range(members.browsers):
        user, session = members.user_id(members.user_of(number)).hex, members.session_id(number).hex
        yield (
            f"{members.browser_id(number).hex}\t{user}\t{cast.APP}\t{session}\t{{{scopes}}}\t{{{audience}}}"
            f"\t{members.csrf(number)}{tail}"
        )


def _bytes(value: bytes) -> str:
    return r"\\x" + value.hex()
