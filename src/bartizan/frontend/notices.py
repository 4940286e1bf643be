"""The few pages of the BFF: what happened, that nothing was shared, and one way on (look: error)."""

from __future__ import annotations

from enum import Enum
from html import escape

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from bartizan.frontend.bff import Bff
from bartizan.web import caller


class _Words(Struct, frozen=True):
    status: int
    code: str
    heading: str
    tell: str
    onward: str
    to: str = "/"  # "login": start the sign-in again


class Notice(Enum):
    NOT_FINISHED = _Words(
        403, "access_denied", "You are not signed in", "The sign-in was stopped. Nothing was shared.", "Go to the app"
    )
    NOT_DONE = _Words(
        400,
        "invalid_response",
        "The sign-in did not work",
        "The sign-in page could not finish. Nothing was shared.",
        "Try again",
        "login",
    )
    TOO_LATE = _Words(
        400,
        "invalid_grant",
        "That took too long",
        "The answer of the sign-in page is used up or too old. Start again; you may not need your password.",
        "Sign in again",
        "login",
    )
    UNCHECKED = _Words(
        400,
        "invalid_response",
        "We stopped here",
        "The answer did not come from our sign-in page as it should. Nothing was taken from it.",
        "Go to the app",
    )
    NO_COOKIES = _Words(
        400,
        "no_cookies",
        "Your browser sent no cookie back",
        "Signing in needs cookies of this site. Allow them, then try again.",
        "Try again",
        "login",
    )
    LOOP = _Words(
        400,
        "no_session",
        "Your session could not be renewed",
        "We renewed it a moment ago, but your browser did not bring it back. Check that cookies of this site are "
        "allowed and that the clock of this device is right, then try again.",
        "Sign in again",
        "login",
    )
    MEMORY_MODE = _Words(
        403,
        "memory_mode",
        "This page cannot be opened by its address",
        "This app keeps its sign-in inside its own page, so a page that needs a sign-in cannot be loaded directly. "
        "Open the app and go on from there.",
        "Go to the app",
    )
    SIGNED_OUT = _Words(
        401,
        "signed_out",
        "You are signed out",
        "What you sent was not kept. Sign in, then send it again.",
        "Sign in",
        "login",
    )


def notice(bff: Bff, request: Request, kind: Notice, *, again: str = "/", code: str = "") -> Response:
    """`again`: the checked path to come back to when the page offers a new sign-in."""
    words = kind.value
    return bff.pages.render(
        request,
        "notice.html",
        status=words.status,
        headers={"cache-control": "no-store"},
        heading=words.heading,
        tell=words.tell,
        onward=f"/bff/login?return_to={again}" if words.to == "login" else words.to,
        onward_label=words.onward,
        code=code or words.code,
        request_id=caller.request_id(request),
    )


def back_to(path: str) -> Response:
    """200 with an immediate refresh: the next request then comes from this very site (F§4, tried).

    `path` is a checked `return_to`: printable ASCII that begins with one slash, so it can stand in the header as it is.
    The referrer of this page holds a spent code, which is nobody's business: only the origin is passed on.
    """
    text = f'<!doctype html><html lang="en"><title>One moment</title><p><a href="{escape(path)}">Go on</a>'
    headers = {
        "refresh": f"0; url={path}",
        "cache-control": "no-store",
        "referrer-policy": "strict-origin",
        "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    }
    return HTMLResponse(text, 200, headers)
