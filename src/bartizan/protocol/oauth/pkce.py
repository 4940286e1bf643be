"""RFC 7636 §4: proof key for code exchange. S256 alone; compared here and nowhere else."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from hashlib import sha256

METHODS = ("S256",)

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def is_challenge(text: str) -> bool:
    """§4.2: base64url of 32 bytes."""
    return _CHALLENGE.fullmatch(text) is not None


def is_verifier(text: str) -> bool:
    """§4.1: 43 to 128 unreserved characters."""
    return _VERIFIER.fullmatch(text) is not None


def challenge(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


def matches(verifier: str, code_challenge: str) -> bool:
    """§4.6, in constant time."""
    return is_verifier(verifier) and hmac.compare_digest(challenge(verifier), code_challenge)
