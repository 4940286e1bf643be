"""RFC 6750: one bearer token, in the header and nowhere else, and the challenge that answers a bad one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bartizan.protocol.refusal import Refused

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*", re.ASCII)
_QUOTABLE = re.compile(r"[ !#-\[\]-~]*", re.ASCII)  # RFC 6750 §3: what the attributes may hold


def token(authorization: Sequence[str]) -> str | None:
    """The token of the `Authorization` headers of a request; None when there is none or the scheme is another.

    RFC 6750 §2: never two. A server that joins repeated headers by commas is seen through as well.
    """
    if not authorization:
        return None
    scheme, _, value = authorization[0].partition(" ")
    if len(authorization) == 1 and scheme.lower() != "bearer":
        return None
    value = value.strip(" ")
    if len(authorization) > 1 or not _TOKEN.fullmatch(value):
        raise Refused("invalid_request", "the Authorization header is malformed", status=400)
    return value


def challenge(realm: str, *, error: str = "", description: str = "", scope: str = "") -> str:
    """A WWW-Authenticate value. RFC 6750 §3.1: no error where no token was sent."""
    attributes = (("realm", realm), ("error", error), ("error_description", description), ("scope", scope))
    for _, value in attributes:
        if not _QUOTABLE.fullmatch(value):
            raise ValueError(f"{value!r} cannot stand in a challenge")
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in attributes if value)
