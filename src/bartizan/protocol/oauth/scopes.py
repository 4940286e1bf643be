"""OAuth 2.1 §1.4.1: scopes. A request may ask for what the client was registered for, and never gets more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bartizan.protocol.oauth.errors import no

OPENID = "openid"
PROFILE = "profile"
EMAIL = "email"
OFFLINE = "offline_access"
OIDC = (OPENID, PROFILE, EMAIL, OFFLINE)

LONGEST = 1024
_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")  # NQCHAR


def parse(text: str) -> tuple[str, ...]:
    """Each name once, in the order asked."""
    names = tuple(dict.fromkeys(name for name in text.split(" ") if name))
    if not names or not all(_TOKEN.fullmatch(name) for name in names):
        raise no("invalid_scope", "the scope is not well formed")
    return names


def within(asked: Sequence[str], allowed: Iterable[str]) -> tuple[str, ...]:
    """What was asked, if all of it is allowed; more is refused, not silently cut."""
    beyond = set(asked) - set(allowed)
    if beyond:
        raise no("invalid_scope", f"beyond what is allowed: {sorted(beyond)}")
    return tuple(asked)


def common(asked: Sequence[str], granted: Iterable[str]) -> tuple[str, ...]:
    """What of it was granted."""
    allowed = set(granted)
    return tuple(name for name in asked if name in allowed)


def render(names: Sequence[str]) -> str:
    return " ".join(names)
