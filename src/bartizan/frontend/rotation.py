"""Flows §6 from the browser's side: one rotation, the three things that can come of it, and asking without one."""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bartizan.frontend.auth_client import Declined, Tokens
from bartizan.frontend.bff import Bff, Brought, on_behalf_of
from bartizan.frontend.seals import Held
from bartizan.protocol.refusal import Unavailable
from bartizan.web.pages import with_cookies

# RFC 9110 §11.6.1: a 401 names a scheme. Browsers show no dialog for this one.
_SIGNED_OUT = {"cache-control": "no-store", "www-authenticate": 'Bearer realm="bff"'}


class Rotated(Struct, frozen=True):
    tokens: Tokens
    cookies: list[str]


async def rotate(bff: Bff, request: Request, held: Held) -> Rotated | None:
    """New tokens and the cookies that carry them; None when the auth server refused: the session is over.

    Unavailable passes through: an auth server that is away ends nobody's session, the cookies stay as they are.
    """
    try:
        tokens = await bff.auth.refresh(held.refresh_token, on_behalf_of(request))
    except Declined:
        bff.ports.meter.count("bff_refreshes", outcome="refused")
        return None
    # failpoint: bff.rotated
    bff.ports.meter.count("bff_refreshes", outcome="done")
    return Rotated(tokens, bff.granted(held, tokens))


async def stands(bff: Bff, request: Request, held: Held | None) -> bool:
    """Whether the session that a cookie holds lives, without rotating it. An outage signs nobody out.

    False is no verdict: a token that tabs of one burst have left behind is superseded, and `rotate` honours it.
    """
    if held is None:
        return False
    try:
        return await bff.auth.alive(held.refresh_token, on_behalf_of(request))
    except Unavailable:
        return True


def signed_out(bff: Bff, brought: Brought) -> Response:
    """401 for scripts, with what is left of the session deleted."""
    body = {"error": "signed_out", "error_description": "There is no session any more: sign in."}
    return with_cookies(JSONResponse(body, 401, _SIGNED_OUT), bff.gone(brought))
