"""OAuth 2.1 §4.1.1, RFC 9126, OIDC Core §3.1.2: the authorization request, parsed once and checked.

In two steps, because they fail differently. Before client and redirect URI are checked nobody may be redirected
(RFC 9700 §4.11.2): plain `Refused`, a page. After that the client is told, by `SentBack`.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from bartizan.protocol.oauth import pkce, redirects, resources, scopes
from bartizan.protocol.oauth.credentials import LONGEST_ID
from bartizan.protocol.oauth.errors import ERRORS, no
from bartizan.protocol.oauth.parameters import Parameters
from bartizan.protocol.oauth.redirects import CheckedRedirect
from bartizan.protocol.oauth.registered import Registered
from bartizan.protocol.refusal import Refused

RESPONSE_TYPES = ("code",)
RESPONSE_MODES = ("query",)
PROMPTS = ("none", "login", "consent", "select_account", "create")
REFERENCE = "urn:ietf:params:oauth:request_uri:"  # RFC 9126 §2.2

_LONGEST_STATE = 2048
_LONGEST_NONCE = 512
_LONGEST_AGE = 10  # digits
_CSRF = re.compile(r"[A-Za-z0-9_-]{22,86}")  # 128 random bits or more, base64url


class AuthorizationRequest(Struct, frozen=True, kw_only=True):
    """A checked request: the value that PAR keeps, that an interaction carries, and that a code is made from."""

    client_id: str
    redirect: CheckedRedirect
    scopes: tuple[str, ...]
    code_challenge: str  # S256, always
    audience: tuple[str, ...]  # RFC 8707 `resource`, or the client's default
    state: str | None = None
    nonce: str | None = None
    prompt: tuple[str, ...] = ()  # of PROMPTS
    max_age: int | None = None  # seconds
    login_hint: str | None = None  # prefill of the identifier field
    csrf: str | None = None  # `bz_csrf`: a cookie-mode BFF asks for cookie tokens
    reference: str = ""  # fingerprint of the request_uri it came by, so that a reload finds its interaction


class SentBack(Refused):
    """A refusal that the client is told, because client and redirect were checked before."""

    def __init__(self, redirect: CheckedRedirect, state: str | None, code: str, note: str) -> None:
        row = ERRORS[code]
        super().__init__(code, row.tell, note, status=row.status)
        self.redirect = redirect
        self.state = state


def client_id(parameters: Parameters) -> str:
    return parameters.require("client_id", longest=LONGEST_ID)


def reference(parameters: Parameters) -> str | None:
    """The secret of a `request_uri` from our PAR endpoint, or None when the request stands in the query itself."""
    uri = parameters.get("request_uri", longest=len(REFERENCE) + 100)
    if uri is None:
        return None
    if not uri.startswith(REFERENCE):
        raise no("request_uri_not_supported", "a request_uri that is not ours")
    return uri.removeprefix(REFERENCE)


def check(parameters: Parameters, client: Registered, *, default_audience: str, pushed: bool) -> AuthorizationRequest:
    """`pushed`: the client has authenticated (PAR). Only then may it ask for cookie tokens."""
    redirect = redirects.check(parameters.get("redirect_uri"), client.redirect_uris, native=client.kind == "native")
    state = parameters.get("state", longest=_LONGEST_STATE)
    try:
        return _check_rest(parameters, client, redirect, state, default_audience, pushed=pushed)
    except Refused as refused:
        raise SentBack(redirect, state, refused.code, refused.note) from None


def _check_rest(
    parameters: Parameters,
    client: Registered,
    redirect: CheckedRedirect,
    state: str | None,
    default_audience: str,
    *,
    pushed: bool,
) -> AuthorizationRequest:
    _check_shape(parameters, client, pushed=pushed)
    prompt = _prompt(parameters)
    return AuthorizationRequest(
        client_id=client.id,
        redirect=redirect,
        scopes=_scopes(parameters, client),
        code_challenge=_challenge(parameters),
        audience=resources.choose(parameters.resource, client.audience, default_audience),
        state=state,
        nonce=parameters.get("nonce", longest=_LONGEST_NONCE),
        prompt=prompt,
        max_age=_max_age(parameters),
        login_hint=parameters.text("login_hint", longest=320),
        csrf=_csrf(parameters, client) if pushed else None,
    )


def _check_shape(parameters: Parameters, client: Registered, *, pushed: bool) -> None:
    for name, code in (("request", "request_not_supported"), ("registration", "registration_not_supported")):
        if parameters.get(name):
            raise no(code, f"{name} was sent")
    if parameters.require("response_type") not in RESPONSE_TYPES:
        raise no("unsupported_response_type", "response_type is not code")
    if parameters.get("response_mode") not in (None, *RESPONSE_MODES):
        raise no("invalid_request", "response_mode is not query")
    if "authorization_code" not in client.grants:
        raise no("unauthorized_client", "the client may not use codes")
    if client.kind == "browser" and not pushed:
        raise no("invalid_request", "only the BFF starts a sign-in for its app, and it pushes the request")


def _scopes(parameters: Parameters, client: Registered) -> tuple[str, ...]:
    text = parameters.get("scope", longest=scopes.LONGEST)
    if text is None:
        raise no("invalid_scope", "no scope is asked for")
    return scopes.within(scopes.parse(text), client.scopes)


def _challenge(parameters: Parameters) -> str:
    """RFC 7636 §4.4.1: required, and never `plain`, which is what an absent method would mean."""
    code_challenge = parameters.require("code_challenge")
    if parameters.get("code_challenge_method") not in pkce.METHODS:
        raise no("invalid_request", "code_challenge_method is not S256")
    if not pkce.is_challenge(code_challenge):
        raise no("invalid_request", "code_challenge is not an S256 value")
    return code_challenge


def _prompt(parameters: Parameters) -> tuple[str, ...]:
    text = parameters.get("prompt", longest=128)
    names = tuple(dict.fromkeys(text.split())) if text else ()
    if any(name not in PROMPTS for name in names) or ("none" in names and len(names) > 1):
        raise no("invalid_request", "prompt is not well formed")
    return names


def _max_age(parameters: Parameters) -> int | None:
    text = parameters.get("max_age")
    if text is None:
        return None
    if not text.isdigit() or len(text) > _LONGEST_AGE:
        raise no("invalid_request", "max_age is not a number of seconds")
    return int(text)


def _csrf(parameters: Parameters, client: Registered) -> str | None:
    """F§2: authority is a property of the token. Only the BFF of a cookie-mode app gets tokens with this claim."""
    value = parameters.get("bz_csrf")
    if value is None or client.kind != "browser" or client.mode != "cookie":
        return None
    if not _CSRF.fullmatch(value):
        raise no("invalid_request", "bz_csrf is not 128 random bits")
    return value


_decoder = msgspec.json.Decoder(AuthorizationRequest)


def pack(request: AuthorizationRequest) -> bytes:
    """How a checked request rests in a row."""
    return msgspec.json.encode(request)


def unpack(raw: bytes) -> AuthorizationRequest:
    return _decoder.decode(raw)
