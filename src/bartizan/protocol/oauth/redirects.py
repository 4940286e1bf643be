"""OAuth 2.1 §2.3, RFC 8252 §7.3: where an answer may go. Exact strings; a native app's loopback port alone may vary.

Only `check` builds a `CheckedRedirect`, and only a `CheckedRedirect` is ever redirected to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from bartizan.protocol.oauth.errors import no

_ANSWERED = frozenset(("code", "state", "iss", "error", "error_description", "error_uri", "response"))
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_LOOPBACKS = ("http://127.0.0.1", "http://[::1]")


class CheckedRedirect(Struct, frozen=True):
    """A redirect URI that the client registered. Built by `check` alone."""

    uri: str
    sent: bool  # the request named it; what the token request names, if it does, is compared with this


def check(sent: str | None, registered: Sequence[str], *, native: bool) -> CheckedRedirect:
    """Refuses without a way back: nothing that was not registered is ever redirected to."""
    if sent is None:
        if len(registered) == 1:
            return CheckedRedirect(registered[0], sent=False)
        raise no("invalid_request", "redirect_uri is missing and the client has not exactly one")
    for known in registered:
        if sent == known or (native and _differs_in_port_alone(sent, known)):
            return CheckedRedirect(sent, sent=True)
    raise no("invalid_request", "redirect_uri is not registered for this client")


def _differs_in_port_alone(sent: str, known: str) -> bool:
    """RFC 8252 §7.3. Built anew from what is registered and compared whole, so that no parser decides."""
    for loopback in _LOOPBACKS:
        if not (known.startswith(loopback) and sent.startswith(loopback + ":")):
            continue
        rest = known[len(loopback) :]
        if rest[:1] == ":":
            rest = rest.lstrip(":").lstrip("0123456789")
        port, slash, path = sent[len(loopback) + 1 :].partition("/")
        if not _PORT.fullmatch(port) or int(port) > 65_535:
            return False
        return slash + path == rest
    return False


def registrable(uri: str, *, native: bool) -> str | None:
    """Why a redirect URI may not be registered (RFC 9700 §2.6, RFC 8252 §7), or None when it may."""
    if not uri.isascii() or any(ord(c) <= 0x20 or c in '\\"<>^`{|}' for c in uri):
        return "has characters that do not belong in a URI"
    if "*" in uri:
        return "has a wildcard, and addresses are compared whole"
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return "is not a URI"
    if "#" in uri:
        return "has a fragment"
    if "@" in parts.netloc:
        return "has user information"
    if _ANSWERED & {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}:
        return "has a query parameter that the answer will carry"
    if not uri.startswith(parts.scheme + ":"):
        return "has a scheme that is not written in lower case"
    if parts.scheme == "https":
        return None if parts.hostname else "has no host"
    if parts.scheme == "http":
        host = parts.hostname or ""
        local = host in ("127.0.0.1", "::1") or host == "localhost" or host.endswith(".localhost")
        return None if local else "is not encrypted, and its host is not loopback"
    if native and "." in parts.scheme:
        return None
    return "has a scheme that is neither https nor a native app's own (with a dot)"
