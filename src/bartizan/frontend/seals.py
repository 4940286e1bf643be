"""Flows §1: what the BFF keeps in the browser, sealed. The server itself keeps nothing between two requests."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from bartizan.model.clients import Mode
from bartizan.protocol import secrets
from bartizan.protocol.secrets import NONCE_BYTES, KeyRing, from_base64url, to_base64url

_LONGEST = 4096
_Sealed = TypeVar("_Sealed", "Held", "Begun")


class Person(Struct, frozen=True, array_like=True):
    sub: str
    name: str
    email: str


class Held(Struct, frozen=True, array_like=True):
    """The `…-rt` cookie."""

    refresh_token: str
    csrf: str
    mode: Mode  # decided by the config at sign-in; no parameter can change it (F§2)
    person: Person
    id_token: str  # a hint for signing out (OIDC RP-initiated logout §2); "" when it was too long to keep


class Begun(Struct, frozen=True, array_like=True):
    """A `…-login-<state>` cookie: one sign-in under way."""

    verifier: str
    nonce: str
    csrf: str
    return_to: str
    at: int  # Unix seconds


class Seals:
    """Purpose "bff" of the key ring. The context is the cookie's name, so that none can stand in for another."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring.purpose("bff")

    def close(self, value: Held | Begun, cookie: str, random: bytes) -> str:
        plain = msgspec.msgpack.encode(value)
        return to_base64url(secrets.seal(self._ring, plain, cookie.encode(), random[:NONCE_BYTES]))

    def held(self, text: str | None, cookie: str) -> Held | None:
        return self._open(text, cookie, Held)

    def begun(self, text: str | None, cookie: str) -> Begun | None:
        return self._open(text, cookie, Begun)

    def _open(self, text: str | None, cookie: str, kind: type[_Sealed]) -> _Sealed | None:
        if not text or len(text) > _LONGEST:
            return None
        try:
            plain = secrets.unseal(self._ring, from_base64url(text), cookie.encode())
            return None if plain is None else msgspec.msgpack.decode(plain, type=kind)
        except (ValueError, msgspec.MsgspecError):  # not base64url, or of a version with other fields
            return None
