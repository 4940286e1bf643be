"""ES256 by `cryptography` itself: a compact JWT from ready bytes, and its verification."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

_HOW = ECDSA(SHA256())
_HEAD = urlsafe_b64encode(b'{"alg":"ES256","kid":"floor","typ":"at+jwt"}').rstrip(b"=") + b"."


class Signer:
    def __init__(self, scalar: int) -> None:
        """The same for each process of a pair: what one signs, the other verifies."""
        self._key = derive_private_key(scalar, SECP256R1())
        self._public = self._key.public_key()

    def sign(self, claims: dict[str, object]) -> bytes:
        message = _HEAD + urlsafe_b64encode(msgspec.json.encode(claims)).rstrip(b"=")
        r, s = decode_dss_signature(self._key.sign(message, _HOW))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return message + b"." + urlsafe_b64encode(signature).rstrip(b"=")

    def verify(self, token: bytes) -> dict[str, object]:
        """Raises InvalidSignature."""
        message, _, tail = token.rpartition(b".")
        signature = urlsafe_b64decode(tail + b"==")
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        self._public.verify(encode_dss_signature(r, s), message, _HOW)
        body = message.partition(b".")[2]
        claims: dict[str, object] = msgspec.json.decode(urlsafe_b64decode(body + b"=="))
        return claims
