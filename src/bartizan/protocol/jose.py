"""RFC 7515, RFC 7519, RFC 8725: sign and verify JWTs, the allowed algorithms always named.

joserfc reads the keys; the two signatures of the hot path go straight to `cryptography`, which is faster.
A key signs by its own algorithm alone (RFC 8725 §3.1), it is found by a known `kid` and in no other way: `jwk`, `jku`,
`x5u` and `x5c` of a header are never read, so no token can bring its own key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import isfinite
from typing import Any, NoReturn

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from bartizan.protocol.secrets import from_base64url, to_base64url

# Longer ones are refused before anything is decoded. A cookie holds 4 KB; a header of a server rarely above 8.
TOKEN_LIMIT = 16 * 1024
LEEWAY = 5  # seconds that clocks may differ
_SMALLEST_RSA = 2048  # bits, RFC 7518 §3.3

Claims = dict[str, object]
_Check = Callable[[bytes, bytes], None]  # (signature, message); raises InvalidSignature


class InvalidToken(Exception):  # noqa: N818 - a refusal
    """`reason` is for the log; what goes out is the same for all."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownKey(InvalidToken):
    """No held key has this `kid`: who holds the keys may fetch them again, within a limit."""

    def __init__(self, kid: str) -> None:
        super().__init__("kid is unknown")
        self.kid = kid


class _Algorithm(msgspec.Struct, frozen=True):
    kty: str
    crv: str | None
    read: Callable[[Any], Any]  # a JWK → joserfc's key
    checker: Callable[[Any], _Check]
    signer: Callable[[Any], Callable[[bytes], bytes]]


def _check_es256(key: EllipticCurvePublicKey) -> _Check:
    algorithm = ECDSA(SHA256())

    def check(signature: bytes, message: bytes) -> None:
        if len(signature) != 64:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        key.verify(encode_dss_signature(r, s), message, algorithm)

    return check


def _sign_es256(key: EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    algorithm = ECDSA(SHA256())

    def sign_message(message: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(message, algorithm))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return sign_message


def _read_rsa(jwk: Mapping[str, Any]) -> RSAKey:
    if len(str(jwk.get("n", ""))) * 6 < _SMALLEST_RSA:
        raise ValueError("RSA key too small")
    return RSAKey.import_key(dict(jwk))


def _check_rs256(key: RSAPublicKey) -> _Check:
    return lambda signature, message: key.verify(signature, message, PKCS1v15(), SHA256())


def _sign_rs256(key: RSAPrivateKey) -> Callable[[bytes], bytes]:
    return lambda message: key.sign(message, PKCS1v15(), SHA256())


def _check_eddsa(key: Ed25519PublicKey) -> _Check:
    return key.verify


def _sign_eddsa(key: Ed25519PrivateKey) -> Callable[[bytes], bytes]:
    return key.sign


ALGORITHMS: Mapping[str, _Algorithm] = {
    "ES256": _Algorithm("EC", "P-256", ECKey.import_key, _check_es256, _sign_es256),
    "RS256": _Algorithm("RSA", None, _read_rsa, _check_rs256, _sign_rs256),
    "EdDSA": _Algorithm("OKP", "Ed25519", OKPKey.import_key, _check_eddsa, _sign_eddsa),
}

_PUBLIC_MEMBERS = ("kty", "crv", "x", "y", "n", "e", "kid", "alg", "use")


class Key(msgspec.Struct, frozen=True):
    """A public key, ready: its one algorithm, and the check."""

    kid: str
    alg: str
    check: _Check


class KeySet(msgspec.Struct, frozen=True):
    by_kid: Mapping[str, Key]


def key_set(jwks: Mapping[str, Any]) -> KeySet:
    """A published JWKS (RFC 7517 §5) made ready. Keys of unknown type, algorithm or use are skipped, as §5 wants."""
    members = jwks.get("keys")
    if not isinstance(members, list):
        raise ValueError("a JWKS has a list `keys`")
    ready: dict[str, Key] = {}
    for member in members:
        key = _ready(member)
        if key is not None and key.kid not in ready:
            ready[key.kid] = key
    return KeySet(ready)


def _ready(jwk: object) -> Key | None:
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    kid, alg = jwk.get("kid"), jwk.get("alg") or _alg_of(jwk)
    row = ALGORITHMS.get(alg) if isinstance(alg, str) else None
    if not isinstance(kid, str) or not kid or row is None or (jwk.get("kty"), jwk.get("crv")) != (row.kty, row.crv):
        return None
    try:
        return Key(kid, str(alg), row.checker(row.read(public_part(jwk)).public_key))
    except (JoseError, ValueError, TypeError):  # a broken key in the list makes the others no worse
        return None


def _alg_of(jwk: Mapping[str, Any]) -> str | None:
    return next(
        (alg for alg, row in ALGORITHMS.items() if (jwk.get("kty"), jwk.get("crv")) == (row.kty, row.crv)), None
    )


def public_part(private_jwk: Mapping[str, str]) -> dict[str, str]:
    """What may be published of a key: the members that are named public, never "all but the private ones"."""
    return {name: private_jwk[name] for name in _PUBLIC_MEMBERS if name in private_jwk}


class Signer:
    """A private key made ready, for who signs often."""

    def __init__(self, private_jwk: Mapping[str, str], kid: str, alg: str) -> None:
        row = ALGORITHMS[alg]
        if (private_jwk.get("kty"), private_jwk.get("crv")) != (row.kty, row.crv):
            raise ValueError(f"this key does not sign {alg}")
        self.kid = kid
        self.alg = alg
        self._sign = row.signer(row.read(dict(private_jwk)).private_key)
        self._headers: dict[str, str] = {}

    def sign(self, claims: Mapping[str, object], typ: str) -> str:
        """A compact JWS over the claims."""
        header = self._headers.get(typ)
        if header is None:
            header = to_base64url(msgspec.json.encode({"alg": self.alg, "kid": self.kid, "typ": typ}))
            self._headers[typ] = header
        message = f"{header}.{to_base64url(msgspec.json.encode(claims))}"
        return f"{message}.{to_base64url(self._sign(message.encode('ascii')))}"


def sign(claims: Mapping[str, object], private_jwk: Mapping[str, str], kid: str, alg: str, typ: str) -> str:
    """Once, by a key that is not kept. `Signer` is for the hot path."""
    return Signer(private_jwk, kid, alg).sign(claims, typ)


def verify(
    token: str,
    keys: KeySet,
    *,
    algorithms: tuple[str, ...],
    typ: str,
    issuer: str,
    audience: str | None,
    now: int,
    leeway: int = LEEWAY,
    max_age: int | None = None,
    limit: int = TOKEN_LIMIT,
) -> Claims:
    """The claims of a token that holds, else InvalidToken. `audience=None`: the kind of token has none.

    `max_age` is for messages that count by `iat` (the ended feed): then `iat` must be there and young, `exp` may lack.
    `limit` is for them too: 20,000 ended ids are a megabyte; no token of a request may be that long.
    """
    claims = signed(token, keys, algorithms=algorithms, typ=typ, limit=limit)
    if claims.get("iss") != issuer:
        raise InvalidToken("iss is another")
    if audience is not None and not _names(claims.get("aud"), audience):
        raise InvalidToken("aud does not name us")
    _check_times(claims, now, leeway, max_age)
    return claims


def signed(token: str, keys: KeySet, *, algorithms: tuple[str, ...], typ: str, limit: int = TOKEN_LIMIT) -> Claims:
    """What one of these keys signed, of whatever issuer and age: alone it is for a record of ours, never for access."""
    message, header, payload, signature = _split(token, limit)
    key = _key_for(_header(header), keys, algorithms, typ)
    try:
        key.check(signature, message)
    except InvalidSignature:
        raise InvalidToken("signature does not match") from None
    return _json_object(payload, "claims")  # nothing of the payload is read before its signature holds


def kid_of(token: str) -> str:
    """Which key signed it, of a token that has been verified."""
    return str(_header(token.partition(".")[0])["kid"])


@lru_cache(maxsize=64)
def _header(text: str) -> Claims:
    """All tokens of a key have one header, so it is read once. Whoever is handed it only looks."""
    try:
        return _json_object(from_base64url(text), "header")
    except ValueError:
        raise InvalidToken("not base64url") from None


def _split(token: str, limit: int) -> tuple[bytes, str, bytes, bytes]:
    if len(token) > limit:
        raise InvalidToken("too long")
    parts = token.split(".", 3)
    if len(parts) != 3:
        raise InvalidToken("not three parts")
    try:
        message = token[: token.rindex(".")].encode("ascii")
        return message, parts[0], from_base64url(parts[1]), from_base64url(parts[2])
    except ValueError:
        raise InvalidToken("not base64url") from None


def _key_for(header: Claims, keys: KeySet, algorithms: tuple[str, ...], typ: str) -> Key:
    if not algorithms or not all(name in ALGORITHMS for name in algorithms):
        raise ValueError(f"algorithms must be some of {', '.join(ALGORITHMS)}")
    # RFC 7515 §4.1.11: what we do not understand but must, we refuse; we understand no extension. `b64` is one.
    if "crit" in header or "b64" in header:
        raise InvalidToken("has critical extensions")
    alg, kid, named = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(alg, str) or alg not in algorithms:
        raise InvalidToken("alg is not allowed")
    if not isinstance(named, str) or named.lower().removeprefix("application/") != typ.lower():
        raise InvalidToken("typ is another")
    if not isinstance(kid, str):
        raise InvalidToken("kid is missing")
    key = keys.by_kid.get(kid)
    if key is None:
        raise UnknownKey(kid)
    if key.alg != alg:
        raise InvalidToken("alg is not the key's own")
    return key


def _json_object(raw: bytes, what: str) -> Claims:
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_each_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidToken(f"{what} is not one clean JSON object") from None
    if not isinstance(value, dict):
        raise InvalidToken(f"{what} is not a JSON object")
    return value


def _each_once(pairs: list[tuple[str, object]]) -> Claims:
    members = dict(pairs)
    if len(members) != len(pairs):  # RFC 7519 §4: two readers could take different ones
        raise ValueError("duplicate member")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _names(aud: object, audience: str) -> bool:
    if isinstance(aud, list):
        return all(isinstance(one, str) for one in aud) and audience in aud
    return aud == audience


def _check_times(claims: Claims, now: int, leeway: int, max_age: int | None) -> None:
    exp, nbf, iat = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    if exp is None and max_age is None:
        raise InvalidToken("exp is missing")
    if exp is not None and now >= exp + leeway:
        raise InvalidToken("expired")
    if nbf is not None and now < nbf - leeway:
        raise InvalidToken("not yet valid")
    if iat is not None and now < iat - leeway:
        raise InvalidToken("issued in the future")
    if max_age is not None and (iat is None or now > iat + max_age):
        raise InvalidToken("too old")


def _time(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InvalidToken(f"{name} is not a time")
    return value
