"""OAuth 2.1 §2.4: how a client says who it is. Exactly one method; what it presents is checked by `auth.clients`."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from urllib.parse import unquote_plus

from msgspec import Struct

from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.parameters import Parameters

BASIC = "client_secret_basic"
POST = "client_secret_post"
NONE = "none"
METHODS = (BASIC, POST, NONE)

LONGEST_ID = 255
LONGEST_SECRET = 255


class Presented(Struct, frozen=True):
    """Claimed, not proven."""

    client_id: str
    method: str  # one of METHODS
    secret: str | None


def presented(authorization: list[str], parameters: Parameters) -> Presented:
    """§2.4: a client must not use more than one method in one request."""
    body_id = parameters.get("client_id", longest=LONGEST_ID)
    body_secret = parameters.get("client_secret", longest=LONGEST_SECRET)
    if parameters.get("client_assertion") or parameters.get("client_assertion_type"):
        raise no("invalid_client", "client assertions are not offered")
    if not authorization:
        if body_id is None:
            raise no("invalid_client", "no client is named")
        return Presented(body_id, NONE if body_secret is None else POST, body_secret)
    if len(authorization) > 1 or body_secret is not None:
        raise no("invalid_request", "two ways of client authentication at once")
    basic = _basic(authorization[0])
    if body_id is not None and body_id != basic.client_id:
        raise no("invalid_request", "two clients are named")
    return basic


def _basic(header: str) -> Presented:
    """RFC 7617, with id and secret form-encoded inside (§2.4.1)."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic" or len(encoded) > 4 * (LONGEST_ID + LONGEST_SECRET):
        raise no("invalid_client", "the authorization header is not Basic")
    try:
        name, colon, secret = b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        name, secret = _unquoted(name), _unquoted(secret)
    except (NotBase64, ValueError):
        raise no("invalid_client", "the Basic credentials cannot be read") from None
    if not colon or not _visible(name, LONGEST_ID) or not _visible(secret, LONGEST_SECRET):
        raise no("invalid_client", "the Basic credentials are not well formed")
    return Presented(name, BASIC, secret)


def _unquoted(text: str) -> str:
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text


def _visible(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and text.isascii() and text.isprintable()
