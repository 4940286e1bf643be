"""F§6: the refresh token. Opaque to all but us: which family, which generation, and a MAC; nothing of it is at rest.

`bzr_` + base64url(key id 8 ‖ epoch 4 ‖ family 16 ‖ generation 4 ‖ HMAC-SHA-256 32). The successor is derived,
not drawn: the same generation of the same family has one token, however often it is asked for.
"""

from __future__ import annotations

import hmac
import struct
from uuid import UUID

from msgspec import Struct

from bartizan.protocol.secrets import Ring, from_base64url, to_base64url
from bartizan.protocol.secrets import mac as authenticate

PREFIX = "bzr_"
PURPOSE = "refresh"  # of the key ring

_BODY = struct.Struct(">8sI16sI")
_MAC_BYTES = 32
_LENGTH = len(PREFIX) + -(-(_BODY.size + _MAC_BYTES) * 4 // 3)


class RefreshToken(Struct, frozen=True):
    """A genuine one: its MAC matched."""

    key_id: str
    epoch: int
    family: UUID
    generation: int


def encode(ring: Ring, token: RefreshToken) -> str | None:
    """None when its key has left the ring: the token cannot be said again."""
    key = ring.by_id(token.key_id)
    if key is None:
        return None
    body = _BODY.pack(token.key_id.encode("ascii"), token.epoch, token.family.bytes, token.generation)
    return PREFIX + to_base64url(body + authenticate(key, body))


def decode(ring: Ring, text: str) -> RefreshToken | None:
    """None when it is not ours. One token has one spelling: truncated, padded or case-flipped ones fail."""
    if len(text) != _LENGTH or not text.startswith(PREFIX):
        return None
    try:
        raw = from_base64url(text[len(PREFIX) :])
    except ValueError:
        return None
    body, presented = raw[: _BODY.size], raw[_BODY.size :]
    key_id, epoch, family, generation = _BODY.unpack(body)
    name = key_id.decode("ascii", "replace")
    key = ring.by_id(name)
    if key is None or not hmac.compare_digest(authenticate(key, body), presented):
        return None
    return RefreshToken(name, epoch, UUID(bytes=family), generation)
