"""Flows §3: the origin test, and the comparison of CSRF values.

Always in this order: a cookie token on an unsafe method passes the origin test, then the route's own rule.
"""

from __future__ import annotations

import hmac
from enum import StrEnum

from bartizan.protocol.refusal import Refused

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADER = "X-CSRF-Token"
FIELD = "_csrf"


class Rule(StrEnum):
    """What a route demands of an unsafe request under a cookie token, after the origin test."""

    TOKEN = "token"  # noqa: S105 - the header's value equals the token's claim
    FORM = "form"  # the header or the form field `_csrf` does
    ORIGIN = "origin"  # the origin test alone


def origin_test(method: str, sec_fetch_site: str | None, origin: str | None, app_origin: str) -> None:
    """Raises Refused (403) unless the request comes from a page of the app itself. Safe methods pass.

    Browsers since 2023 send Sec-Fetch-Site, and no script can set it; where it is absent the Origin decides. With
    neither of them, or `Origin: null`, nobody vouches for the request.
    """
    if method in SAFE_METHODS:
        return
    if sec_fetch_site is not None:
        if sec_fetch_site != "same-origin":
            raise _refused(f"Sec-Fetch-Site {sec_fetch_site[:40]!r}")
    elif origin != app_origin:
        raise _refused(f"no Sec-Fetch-Site, Origin {(origin or '')[:100]!r}")


def handshake_test(origin: str | None, app_origin: str) -> None:
    """A WebSocket handshake is a GET that carries Strict cookies from sibling subdomains: it needs our very Origin."""
    if origin != app_origin:
        raise _refused(f"WebSocket from Origin {(origin or '')[:100]!r}")


def matches(presented: str | None, expected: str | None) -> bool:
    """The one comparison of CSRF values, in constant time. Nothing never matches nothing."""
    if not presented or not expected:
        return False
    return hmac.compare_digest(presented.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))


def _refused(note: str) -> Refused:
    return Refused("csrf", "the request does not come from a page of this site", note, status=403)
