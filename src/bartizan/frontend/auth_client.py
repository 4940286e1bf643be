"""The BFF as an OAuth client of our own auth server: PAR (RFC 9126), code, refresh, revocation; tokens checked.

Three kinds of answer, never mixed up: a value; `Declined`, when the auth server said no to what we presented; and
`Unavailable`, when it said nothing or something that is not its answer. Nobody is signed out by the last one.
"""

from __future__ import annotations

import time
from base64 import b64encode
from typing import Any, TypeVar
from urllib.parse import quote_plus, urlencode

import msgspec
from msgspec import Struct

from bartizan.frontend.ports import FrontendPorts
from bartizan.frontend.settings import FrontendSettings
from bartizan.frontend.way import NoAnswer, Question, Reply
from bartizan.protocol import jose, secrets
from bartizan.protocol.refusal import Unavailable

_KEYS_AGAIN_AFTER = 10.0  # seconds: how often an unknown `kid` may make us ask
_KEYS_OLD_AFTER = 1.0  # how often a token that the gateway refused may
ALGORITHMS = ("ES256", "RS256", "EdDSA")
_FORM = "application/x-www-form-urlencoded"
_Answer = TypeVar("_Answer")


class Declined(Exception):  # noqa: N818 - an answer, as Refused is
    """An OAuth error about what we presented (`invalid_grant`): never one about ourselves."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code


class Tokens(Struct, frozen=True, kw_only=True):
    access_token: str
    expires_in: int
    refresh_token: str
    id_token: str = ""


class _Pushed(Struct, frozen=True):
    request_uri: str


class _Standing(Struct, frozen=True):
    active: bool


class Caller(Struct, frozen=True):
    """For whom we ask, so that limits and events of the auth server see the person and not us."""

    address: str
    request_id: str
    user_agent: str

    def headers(self) -> tuple[tuple[str, str], ...]:
        named = (("x-forwarded-for", self.address), ("x-request-id", self.request_id), ("user-agent", self.user_agent))
        return tuple((name, value) for name, value in named if value and value.isascii() and value.isprintable())


class AuthServer:
    """What we ask of it, a method a question."""

    def __init__(self, settings: FrontendSettings, ports: FrontendPorts) -> None:
        self._settings = settings
        self._clock = ports.clock
        self._way = ports.way
        secret = secrets.client_secret(ports.ring.purpose("client"), settings.client_id)
        pair = f"{quote_plus(settings.client_id)}:{quote_plus(secret)}"  # RFC 6749 §2.3.1: encoded, then joined
        self._headers = (
            ("authorization", "Basic " + b64encode(pair.encode("ascii")).decode("ascii")),
            ("accept", "application/json"),
            ("content-type", _FORM),
        )
        self._keys: jose.KeySet | None = None
        self._keys_at = -_KEYS_AGAIN_AFTER

    async def push(self, parameters: dict[str, str], caller: Caller) -> str:
        """RFC 9126 §2.1: the request goes ahead of the browser, which then carries a handle alone."""
        pushed = _read(await self._ask("/par", parameters, caller), _Pushed)
        if not pushed.request_uri or not pushed.request_uri.isascii():
            raise Unavailable("auth server (answer without request_uri)")
        return pushed.request_uri

    async def redeem(self, code: str, verifier: str, caller: Caller) -> Tokens:
        """RFC 6749 §4.1.3. Not tried again: a code that comes twice ends what it bought."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_uri,
            "code_verifier": verifier,
        }
        return _read(await self._ask("/token", form, caller), Tokens)

    async def refresh(self, refresh_token: str, caller: Caller) -> Tokens:
        """Flows §6: the same question has the same answer, so one that was lost on the wire is asked again."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return _read(await self._ask("/token", form, caller, tries=2), Tokens)

    async def revoke(self, refresh_token: str, caller: Caller) -> None:
        form = {"token": refresh_token, "token_type_hint": "refresh_token"}
        await self._ask("/revoke", form, caller, tries=2)

    async def alive(self, refresh_token: str, caller: Caller) -> bool:
        """RFC 7662: whether what the cookie holds still stands. Asking rotates nothing."""
        form = {"token": refresh_token, "token_type_hint": "refresh_token"}
        return _read(await self._ask("/introspect", form, caller, tries=2), _Standing).active

    async def identify(self, id_token: str, nonce: str) -> jose.Claims:
        """OIDC Core §3.1.3.7. Raises InvalidToken."""
        claims = await self._verified(id_token, typ="JWT", audience=self._settings.client_id)
        if claims.get("nonce") != nonce:
            raise jose.InvalidToken("nonce is another")
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise jose.InvalidToken("azp is another")
        if not isinstance(claims.get("sub"), str):
            raise jose.InvalidToken("sub is missing")
        return claims

    async def access_claims(self, access_token: str) -> jose.Claims:
        """What our own access token says, or InvalidToken. It is opaque to browsers, not to us."""
        return await self._verified(access_token, typ="at+jwt", audience=None)

    async def seconds_left(self, access_token: str, now: int) -> int:
        """Until it expires, without any leeway: 0 when it is not valid. The gateway may be stricter than we."""
        try:
            claims = await self.access_claims(access_token)
        except jose.InvalidToken:
            return 0
        expires = claims.get("exp")
        return max(0, int(expires) - now) if isinstance(expires, int | float) else 0

    async def key_gone(self, access_token: str) -> bool:
        """Whether what signed it is no longer published. Told by nobody, so asked: at most once a second."""
        try:
            kid = jose.kid_of(access_token)
        except (jose.InvalidToken, ValueError, KeyError):
            return False
        keys = self._keys
        if keys is None or (kid in keys.by_kid and time.monotonic() - self._keys_at > _KEYS_OLD_AFTER):
            keys = await self._fetch_keys()
        return kid not in keys.by_kid

    async def _verified(self, token: str, *, typ: str, audience: str | None) -> jose.Claims:
        keys = self._keys or await self._fetch_keys()
        try:
            return self._verify(token, keys, typ, audience)
        except jose.UnknownKey:
            if time.monotonic() - self._keys_at < _KEYS_AGAIN_AFTER:
                raise
            return self._verify(token, await self._fetch_keys(), typ, audience)

    def _verify(self, token: str, keys: jose.KeySet, typ: str, audience: str | None) -> jose.Claims:
        now = int(self._clock().timestamp())
        issuer = self._settings.id_origin
        return jose.verify(token, keys, algorithms=ALGORITHMS, typ=typ, issuer=issuer, audience=audience, now=now)

    async def _fetch_keys(self) -> jose.KeySet:
        answer = await self._answer(Question("GET", "/jwks", ()), tries=2)
        if answer.status != 200:
            raise Unavailable("auth server (keys)")
        self._keys, self._keys_at = jose.key_set(_read(answer, dict[str, Any])), time.monotonic()
        return self._keys

    async def _ask(self, path: str, form: dict[str, str], caller: Caller, *, tries: int = 1) -> Reply:
        question = Question("POST", path, self._headers + caller.headers(), urlencode(form).encode("ascii"))
        answer = await self._answer(question, tries)
        if answer.status in (200, 201):
            return answer
        if answer.status == 400:
            fault = _read(answer, dict[str, Any])
            code = str(fault.get("error", ""))
            if code == "invalid_grant":
                raise Declined(code, str(fault.get("error_description", "")))
            raise Unavailable(f"auth server ({path}: {code[:60]})", 5)  # about our request: a fault of ours, not theirs
        raise Unavailable(f"auth server ({path}: {answer.status})", _retry_after(answer))

    async def _answer(self, question: Question, tries: int) -> Reply:
        """The deadline is one for all tries: a server that was silent for all of it is not asked again."""
        until = time.monotonic() + self._settings.auth_timeout
        for _ in range(tries):
            left = until - time.monotonic()
            if left <= 0:
                break
            try:
                return await self._way.ask(question, left)
            except NoAnswer:
                continue
        raise Unavailable("auth server")


def _read(answer: Reply, kind: type[_Answer]) -> _Answer:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):  # a ValidationError is one of the former
        raise Unavailable("auth server (answer is not what was asked for)") from None


def _retry_after(answer: Reply) -> int:
    said = answer.header(b"retry-after")
    return min(int(said), 120) if said.isascii() and said.isdigit() else 2
