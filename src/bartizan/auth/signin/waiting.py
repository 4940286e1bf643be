"""What this browser waits for: a sealed cookie, written at sign-up and reset, read by check-mail and verify.

It holds the id of the link that was mailed, so "the browser that signed up" can be told from any other (flows §5). For
an address that already has an account it is as long, and names a row that opens nothing.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import DecodeError, Struct, ValidationError, json
from starlette.requests import Request

from bartizan.auth.desk import Desk
from bartizan.protocol.secrets import NONCE_BYTES, from_base64url, seal, to_base64url, unseal
from bartizan.protocol.web import cookies

_CONTEXT = b"waiting"
_SECONDS = 3600


class Waiting(Struct, frozen=True, kw_only=True):
    what: str  # "verify" | "reset"
    email: str  # as typed
    link: UUID
    until: datetime


def cookie(desk: Desk, waiting: Waiting) -> str:
    sealed = seal(desk.sealing, json.encode(waiting), _CONTEXT, desk.ports.chance(NONCE_BYTES))
    return cookies.set_cookie(desk.cookie("wait"), to_base64url(sealed), max_age=_SECONDS, same_site="Lax")


def read(desk: Desk, request: Request) -> Waiting | None:
    text = cookies.parse(request.headers.get("cookie")).get(desk.cookie("wait"), "")
    try:
        plain = unseal(desk.sealing, from_base64url(text), _CONTEXT) if text else None
        return json.decode(plain, type=Waiting) if plain is not None else None
    except (ValueError, DecodeError, ValidationError):
        return None


def delete(desk: Desk) -> str:
    return cookies.delete_cookie(desk.cookie("wait"), same_site="Lax")
