"""A browser in which this person has signed in before (OWASP, "Slow down online guessing attacks with device cookies").

Its tries are counted apart from everybody else's, so that a stranger who types wrong passwords all day locks out new
browsers, but not the person's own. The cookie holds a random value and our MAC over it and the identifier: it says
nothing about anybody, opens nothing, and gives who steals it ten tries in a quarter of an hour.
"""

from __future__ import annotations

from starlette.requests import Request

from bartizan.auth.desk import Desk
from bartizan.model.users import identifier_key
from bartizan.protocol.secrets import from_base64url, mac, to_base64url
from bartizan.protocol.web import cookies, csrf
from bartizan.web import caller

_BYTES = 16
_SECONDS = 180 * 86_400


def cookie(desk: Desk, identifier: str) -> str:
    """Goes out with each sign-in; another person's in the same browser takes its place."""
    value = desk.ports.chance(_BYTES)
    text = to_base64url(value + _mac(desk.sealing.newest[1], value, identifier))
    return cookies.set_cookie(desk.cookie("seen"), text, max_age=_SECONDS, same_site="Lax")


def counted(desk: Desk, request: Request, identifier: str) -> str:
    """Whom the tries of this identifier from this browser count for."""
    who = identifier_key(identifier)
    text = caller.cookies(request).get(desk.cookie("seen"), "")
    if not text:
        return who
    try:
        value = from_base64url(text)[:_BYTES]
    except ValueError:
        return who
    genuine = (to_base64url(value + _mac(key, value, identifier)) for _, key in desk.sealing.all)
    return f"{who} {value.hex()}" if any(csrf.matches(text, one) for one in genuine) else who


def _mac(key: bytes, value: bytes, identifier: str) -> bytes:
    return mac(key, b"seen", value, identifier_key(identifier).encode())
