"""Flows §1, RFC 6265bis: our cookies, their names and their attributes.

All have the prefix `__Host-`, so no sibling subdomain can plant one; on this machine's own names they carry the port,
as cookies ignore ports and two projects would overwrite each other.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import origins

OURS = "__Host-bz"
SameSite = Literal["Strict", "Lax"]

# Chromium drops a Set-Cookie over this many bytes and silently keeps the old cookie.
SET_COOKIE_LIMIT = 4090
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*", re.ASCII)


class CookieNames(Struct, frozen=True):
    at: str  # access token (cookie mode)
    rt: str  # refresh token, CSRF value and mode, sealed by the BFF
    csrf: str  # readable
    hop: str  # a renewal has just happened
    login_prefix: str  # + state: one sign-in under way
    sso: str  # at id: the sign-on session
    ix: str  # at id: one interaction


def names(origin: str) -> CookieNames:
    """The names under one origin (app or id)."""
    parsed = origins.parse(origin)
    prefix = f"{OURS}{parsed.port}-" if parsed.local else f"{OURS}-"
    return CookieNames(*(prefix + name for name in ("at", "rt", "csrf", "hop", "login-", "sso", "ix")))


def parse(header: str | None) -> dict[str, str]:
    """The cookies of a request. Two of one name of ours are refused: one is planted, nobody knows which."""
    found: dict[str, str] = {}
    for pair in (header or "").split(";"):
        name, equals, value = pair.strip(" \t").partition("=")
        name = name.rstrip(" \t")
        if not equals or not name:
            continue
        if name in found:
            if name.startswith(OURS):
                raise Refused("invalid_request", "a cookie was sent twice", f"two cookies {name[:60]!r}")
            continue
        found[name] = value.strip(" \t")
    return found


def set_cookie(
    name: str, value: str, *, max_age: int | None = None, http_only: bool = True, same_site: SameSite = "Strict"
) -> str:
    """A Set-Cookie value: Secure and Path=/ always, never a Domain. `max_age=None`: until the browser closes."""
    if not name.startswith("__Host-") or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ValueError(f"cookie {name!r} has a bad name or value")
    words = [f"{name}={value}", "Path=/", "Secure", f"SameSite={same_site}"]
    if max_age is not None:
        words.append(f"Max-Age={max_age}")
    if http_only:
        words.append("HttpOnly")
    text = "; ".join(words)
    if len(text) > SET_COOKIE_LIMIT:
        raise ValueError(f"cookie {name} has {len(text)} bytes; browsers drop more than {SET_COOKIE_LIMIT}")
    return text


def delete_cookie(name: str, *, http_only: bool = True, same_site: SameSite = "Strict") -> str:
    """By name, never by Clear-Site-Data, which would clear sibling apps and `id` too (flows §1)."""
    return set_cookie(name, "", max_age=0, http_only=http_only, same_site=same_site)
