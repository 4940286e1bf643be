"""The sign-on session at `id`: an opaque secret in the `…-sso` cookie, its fingerprint in the row (F§1)."""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request

from bartizan.auth.ports import AuthPorts
from bartizan.auth.settings import AuthSettings
from bartizan.model.sessions import Session
from bartizan.model.store import Records
from bartizan.model.users import User


class SignedIn(Struct, frozen=True, kw_only=True):
    session: Session
    user: User
    set_cookie: str  # goes out with the answer; `proceed(…, signed_in=…)` does it by itself


async def current_session(
    request: Request, ports: AuthPorts, settings: AuthSettings
) -> tuple[Session, User] | None:
    """Who is signed in, or None: no cookie, an ended or expired session, a disabled user."""
    raise NotImplementedError


async def start_session(
    records: Records, user: User, request: Request, ports: AuthPorts, settings: AuthSettings
) -> SignedIn:
    """After a proof. A living session of this person gets a new secret (7.2.4); somebody else's ends first."""
    raise NotImplementedError


def end_session_cookie(settings: AuthSettings) -> str:
    """The Set-Cookie that deletes `…-sso`."""
    raise NotImplementedError
