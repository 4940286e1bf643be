"""The BFF as an OAuth client of our own auth server: PAR (RFC 9126), code, refresh, revocation; tokens checked.

Three kinds of answer, never mixed up: a value; `Declined`, when the auth server said no to what we presented; and
`Unavailable`, when it said nothing or something that is not its answer. Nobody is signed out by the last one.
"""

from __future__ import annotations

import ssl
import time
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx2
import msgspec
from msgspec import Struct

from bartizan.frontend.ports import FrontendPorts
from bartizan.frontend.settings import FrontendSettings
from bartizan.protocol import jose, secrets
from bartizan.protocol.refusal import Unavailable

_ANSWER_LIMIT = 256 * 1024
_KEYS_AGAIN_AFTER = 10.0  # seconds: how often an unknown `kid` may make us ask
ALGORITHMS = ("ES256", "RS256", "EdDSA")


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


class Caller(Struct, frozen=True):
    """For whom we ask, so that limits and events of the auth server see the person and not us."""

    address: str
    request_id: str
    user_agent: str

    def headers(self) -> dict[str, str]:
        named = {"x-forwarded-for": self.address, "x-request-id": self.request_id, "user-agent": self.user_agent}
        return {name: value for name, value in named.items() if value.isascii() and value.isprintable() and value}


class AuthServer:
    """What we ask of it, a method a question."""

    def __init__(self, settings: FrontendSettings, ports: FrontendPorts) -> None:
        self._settings = settings
        self._clock = ports.clock
        self._ring = ports.ring.purpose("client")
        self._base = settings.id_origin
        transport = ports.transport
        if transport is None and settings.auth_address.startswith("unix:"):
            # No TLS on a socket of our own, so a context without authorities: to load them takes a tenth of a second.
            transport = httpx2.AsyncHTTPTransport(
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
                uds=settings.auth_address.removeprefix("unix:"),
                trust_env=False,
            )
            # The Host header is still that of the id origin.
            self._base = f"http://{urlsplit(settings.id_origin).netloc}"
        elif transport is None:
            self._base = settings.auth_address.rstrip("/")
        self._http = httpx2.AsyncClient(transport=transport, timeout=settings.auth_timeout, trust_env=False)
        self._keys: jose.KeySet | None = None
        self._keys_at = -_KEYS_AGAIN_AFTER

    async def push(self, parameters: dict[str, str], caller: Caller) -> str:
        """RFC 9126 §2.1: the request goes ahead of the browser, which then carries a handle alone."""
        answer = await self._ask("/par", parameters, caller)
        return _text(answer, "request_uri")

    async def redeem(self, code: str, verifier: str, caller: Caller) -> Tokens:
        """RFC 6749 §4.1.3. Not tried again: a code that comes twice ends what it bought."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_uri,
            "code_verifier": verifier,
        }
        return _tokens(await self._ask("/token", form, caller))

    async def refresh(self, refresh_token: str, caller: Caller) -> Tokens:
        """Flows §6: the same question has the same answer, so one that was lost on the wire is asked again."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return _tokens(await self._ask("/token", form, caller, tries=2))

    async def revoke(self, refresh_token: str, caller: Caller) -> None:
        form = {"token": refresh_token, "token_type_hint": "refresh_token"}
        await self._ask("/revoke", form, caller, tries=2)

    async def alive(self, refresh_token: str, caller: Caller) -> bool:
        """RFC 7662: whether what the cookie holds still stands. Asking rotates nothing."""
        form = {"token": refresh_token, "token_type_hint": "refresh_token"}
        return (await self._ask("/introspect", form, caller, tries=2)).get("active") is True

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
        answer = await self._send("GET", "/jwks", None, {}, tries=2)
        if answer.status_code != 200:
            raise Unavailable("auth server (keys)")
        self._keys, self._keys_at = jose.key_set(_object(answer)), time.monotonic()
        return self._keys

    async def _ask(self, path: str, form: dict[str, str], caller: Caller, *, tries: int = 1) -> dict[str, Any]:
        client_id = self._settings.client_id
        secret = secrets.client_secret(self._ring, client_id)
        headers = {"accept": "application/json", **caller.headers()}
        auth = httpx2.BasicAuth(quote_plus(client_id), quote_plus(secret))  # RFC 6749 §2.3.1: encoded, then joined
        answer = await self._send("POST", path, form, headers, tries=tries, auth=auth)
        if answer.status_code in (200, 201):
            return _object(answer) if answer.content else {}
        if answer.status_code == 400:
            fault = _object(answer)
            code = str(fault.get("error", ""))
            if code == "invalid_grant":
                raise Declined(code, str(fault.get("error_description", "")))
            raise Unavailable(f"auth server ({path}: {code[:60]})", 5)  # about our request: a fault of ours, not theirs
        raise Unavailable(f"auth server ({path}: {answer.status_code})", _retry_after(answer))

    async def _send(
        self,
        method: str,
        path: str,
        form: dict[str, str] | None,
        headers: dict[str, str],
        *,
        tries: int,
        auth: httpx2.BasicAuth | None = None,
    ) -> httpx2.Response:
        for left in range(tries - 1, -1, -1):
            try:
                answer = await self._http.request(method, self._base + path, data=form, headers=headers, auth=auth)
            except (httpx2.TransportError, OSError):
                if left:
                    continue
                raise Unavailable("auth server") from None
            finally:
                self._http.cookies.clear()  # what one person's answer set must not travel with the next one's
            if len(answer.content) > _ANSWER_LIMIT:
                raise Unavailable("auth server (answer too long)")
            return answer
        raise AssertionError("at least one try")


def _object(answer: httpx2.Response) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unavailable("auth server (answer is no JSON object)") from None


def _text(answer: dict[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value or not value.isascii():
        raise Unavailable(f"auth server (answer without {name})")
    return value


def _tokens(answer: dict[str, Any]) -> Tokens:
    try:
        return msgspec.convert(answer, Tokens)
    except msgspec.ValidationError:
        raise Unavailable("auth server (no tokens in the answer)") from None


def _retry_after(answer: httpx2.Response) -> int:
    said = answer.headers.get("retry-after", "")
    return min(int(said), 120) if said.isascii() and said.isdigit() else 2
