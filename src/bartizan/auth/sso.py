"""The sign-on session at `id`: an opaque secret in the `…-sso` cookie, its fingerprint in the row (F§1)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import msgspec
from msgspec import Struct
from starlette.requests import Request

from bartizan.auth.ports import AuthPorts
from bartizan.auth.settings import AuthSettings
from bartizan.model.event import Event
from bartizan.model.sessions import Session
from bartizan.model.store import Records
from bartizan.model.users import User
from bartizan.protocol import secrets
from bartizan.protocol.web import cookies, privacy
from bartizan.web import caller

PREFIX = "bzo_"


class SignedIn(Struct, frozen=True, kw_only=True):
    session: Session
    user: User
    set_cookie: str  # goes out with the answer; `proceed(…, signed_in=…)` does it by itself


async def current_session(request: Request, ports: AuthPorts, settings: AuthSettings) -> tuple[Session, User] | None:
    """Who is signed in, or None: no cookie, an ended or expired session, a disabled user."""
    fingerprint = _fingerprint(request, settings)
    if fingerprint is None:
        return None
    return await ports.store.lookups.signed_in(fingerprint)


async def begin_session(
    user: User,
    password_hash: str,
    request: Request,
    ports: AuthPorts,
    settings: AuthSettings,
    told: Callable[[UUID], Event],
) -> SignedIn | None:
    """After a password, in a browser that shows no session: one statement. None: it was changed meanwhile."""
    secret = secrets.new_secret(PREFIX, ports.chance(secrets.KEY_BYTES))
    session = _new(user, request, ports, settings)
    async with ports.store.reading() as records:
        begun = await records.sessions.begin(session, secrets.fingerprint(secret), password_hash, told(session.id))
    return _signed_in(session, user, secret, settings) if begun else None


def shown(request: Request, settings: AuthSettings) -> bool:
    """Whether the browser shows a session's secret, good or not."""
    return _fingerprint(request, settings) is not None


async def start_session(
    records: Records, user: User, request: Request, ports: AuthPorts, settings: AuthSettings
) -> SignedIn:
    """After a proof. A living session of this person gets a new secret (7.2.4); somebody else's ends first."""
    secret = secrets.new_secret(PREFIX, ports.chance(secrets.KEY_BYTES))
    fingerprint = secrets.fingerprint(secret)
    session = await _renewed(records, user, request, fingerprint, settings, ports)
    if session is None:
        session = _new(user, request, ports, settings)
        await records.sessions.add(session, fingerprint)
    return _signed_in(session, user, secret, settings)


def _signed_in(session: Session, user: User, secret: str, settings: AuthSettings) -> SignedIn:
    cookie = cookies.set_cookie(
        settings.cookies.sso, secret, max_age=settings.session_absolute, http_only=True, same_site="Lax"
    )
    return SignedIn(session=session, user=user, set_cookie=cookie)


async def _renewed(
    records: Records, user: User, request: Request, fingerprint: bytes, settings: AuthSettings, ports: AuthPorts
) -> Session | None:
    held = _fingerprint(request, settings)
    before = await records.sessions.by_fingerprint(held) if held is not None else None
    if before is None:
        return None
    if before.user_id != user.id:
        await records.sessions.end(before.id, "replaced")
        return None
    await records.sessions.reauthenticated(before.id, fingerprint)
    return msgspec.structs.replace(before, auth_time=ports.clock())


def _new(user: User, request: Request, ports: AuthPorts, settings: AuthSettings) -> Session:
    now = ports.clock()
    return Session(
        id=secrets.uuid7(int(now.timestamp() * 1000), ports.chance(10)),
        user_id=user.id,
        created_at=now,
        auth_time=now,
        last_seen_at=now,
        expires_at=now + timedelta(seconds=settings.session_absolute),
        device=privacy.device(caller.user_agent(request)),
        network=privacy.mask(caller.address(request)),
    )


def end_session_cookie(settings: AuthSettings) -> str:
    """The Set-Cookie that deletes `…-sso`."""
    return cookies.delete_cookie(settings.cookies.sso, same_site="Lax")


def _fingerprint(request: Request, settings: AuthSettings) -> bytes | None:
    secret = caller.cookies(request).get(settings.cookies.sso, "")
    return secrets.fingerprint(secret) if secret.startswith(PREFIX) else None
