"""Who calls, as the gateway says it. Our servers listen on Unix sockets, so nobody else can say it."""

from __future__ import annotations

import os
import re
from typing import cast

from starlette.requests import Request

from bartizan.protocol.web.cookies import parse
from bartizan.web.headers import one

_COOKIES = "bartizan.cookies"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


def address(request: Request) -> str:
    """The caller's full address: for limits and for keyed hashes, in memory only. Never log or store it (design §4).

    Envoy names a trusted outer address in its own header; for loopback and private callers it does not,
    and then the last entry of X-Forwarded-For is the one that Envoy itself appended.
    """
    named = (one(request.scope, b"x-envoy-external-address") or "").strip()
    if named:
        return named
    forwarded = one(request.scope, b"x-forwarded-for") or ""
    last = forwarded.rsplit(",", 1)[-1].strip()
    if last:
        return last
    return request.client.host if request.client and request.client.host else ""


def request_id(request: Request) -> str:
    """The id under which every log line of this request can be found; `mount` has put it into the scope."""
    return str(request.scope.get("bartizan.request_id", ""))


def take_request_id(header: str | None) -> str:
    """Envoy's `x-request-id`, or a new one when there is none (or it is not one)."""
    return header if header is not None and _REQUEST_ID.match(header) else os.urandom(12).hex()


def cookies(request: Request) -> dict[str, str]:
    """Read once a request, as several rooms look for one of theirs."""
    scope = request.scope
    if _COOKIES not in scope:
        scope[_COOKIES] = parse(one(scope, b"cookie"))
    return cast("dict[str, str]", scope[_COOKIES])


def user_agent(request: Request) -> str:
    return (one(request.scope, b"user-agent") or "")[:512]


def wants_page(request: Request) -> bool:
    """A browser that navigates takes text/html; a script or a library does not ask for it."""
    return "text/html" in (one(request.scope, b"accept") or "")
