"""Flows §2–3: what a route demands, and whether one request has it. Pure: values in, a grant or a refusal out.

Authority is a property of the token. One with a `csrf` claim is a cookie token, and on unsafe methods CSRF is demanded
for it however it arrived; one without needs none. No cookie is ever read here, so the answers are right with and
without the gateway before us.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from bartizan.guard.limiter import Limiter
from bartizan.protocol.jose import LEEWAY, InvalidToken
from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import bearer, csrf, origins
from bartizan.protocol.web.cors import Cors, PublicRead
from bartizan.protocol.web.limits import Per, Rate

FORM_LIMIT = 1024 * 1024  # bytes of a form that the guard reads to find `_csrf`
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class Who(StrEnum):
    """Who may call a route. What says nothing is refused."""

    UNDECLARED = "undeclared"
    PUBLIC = "public"  # no check, no user
    OPTIONAL = "optional"  # a user when a token was sent; a bad token is refused
    SIGNED_IN = "signed-in"  # any valid token; with scopes, those too


class RoutePolicy(Struct, frozen=True, kw_only=True):
    """What one route declares."""

    who: Who = Who.UNDECLARED
    scopes: tuple[str, ...] = ()  # all of them
    csrf: csrf.Rule = csrf.Rule.TOKEN
    form_limit: int = FORM_LIMIT
    limit: Rate | None = None
    name: str = ""  # under which the limit counts
    cors: Cors | None = None  # None: the guard's own
    csp: tuple[tuple[str, tuple[str, ...]], ...] = ()  # sources added to the guard's policy

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit.per is Per.ADDRESS:
            raise ValueError("the guard limits per user or client: limits per address belong to the gateway")
        if self.limit is not None and self.who in (Who.PUBLIC, Who.OPTIONAL):
            raise ValueError("a limit per user needs a user: declare signed_in() or scopes()")
        if isinstance(self.cors, PublicRead) and self.who in (Who.OPTIONAL, Who.SIGNED_IN):
            raise ValueError("PublicRead() is for public() routes: name the origins that may come with a token")

    def __str__(self) -> str:
        words = [self.who.value if not self.scopes else "scopes " + " ".join(self.scopes)]
        if self.who not in (Who.PUBLIC, Who.UNDECLARED):
            words.append(f"csrf {self.csrf.value}")
        if self.limit is not None:
            words.append(f"limit {self.limit}")
        return ", ".join(words)


class Resource(Struct, frozen=True, kw_only=True):
    """The resource server that is guarded."""

    issuer: str
    audience: str
    app_origin: str
    realm: str = "api"
    algorithms: tuple[str, ...] = ("ES256", "RS256", "EdDSA")

    def __post_init__(self) -> None:
        for name, value in (("issuer", self.issuer), ("app_origin", self.app_origin)):
            if value != str(origins.parse(value)):
                raise ValueError(f"{name} is {value!r}; browsers write it {origins.parse(value)}")
        bearer.challenge(self.realm)


class GuardRequest(Struct, frozen=True, kw_only=True):
    """What the rules look at, the same from every framework. Absent headers are None."""

    method: str
    authorization: tuple[str, ...] = ()
    origin: str | None = None
    sec_fetch_site: str | None = None
    csrf: str | None = None  # X-CSRF-Token
    content_type: str = ""
    websocket: bool = False


class Token(Struct, frozen=True, kw_only=True):
    """A verified access token (RFC 9068): who calls, and what they may."""

    sub: str
    client_id: str
    scopes: frozenset[str]
    gid: str  # what can end it: its family, or itself
    exp: float
    csrf: str | None  # set: a cookie token
    claims: Mapping[str, Any]
    kid: str = ""  # the key that signed it: withdrawn, it takes along what is still open

    def may(self, scope: str) -> bool:
        return scope in self.scopes


class Grant(Struct, frozen=True, kw_only=True):
    """Yes. `form_due`: but the adapter has still to compare the field `_csrf` (`form_matches`)."""

    token: Token | None
    form_due: bool = False


class Denied(Refused):
    """A refusal with the headers that its answer needs (WWW-Authenticate, Retry-After)."""

    def __init__(self, code: str, tell: str, note: str, status: int, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(code, tell, note, status=status, headers=headers)


ANONYMOUS = Grant(token=None)


def presented(route: RoutePolicy, request: GuardRequest, resource: Resource) -> str | None:
    """The token to verify; None when the route may be answered without one."""
    if route.who is Who.UNDECLARED:
        raise undeclared()
    if route.who is Who.PUBLIC:
        return None
    try:
        token = bearer.token(request.authorization)
    except Refused as no:
        raise _challenged(resource, 400, no.code, no.tell, no.note) from None
    if token is None and route.who is not Who.OPTIONAL:
        # RFC 6750 §3.1: no error code where no token was sent
        raise Denied(
            "unauthorized",
            "sign in first",
            "no bearer token",
            401,
            (("WWW-Authenticate", bearer.challenge(resource.realm, scope=" ".join(route.scopes))),),
        )
    return token


def decide(
    route: RoutePolicy, request: GuardRequest, resource: Resource, token: Token, ended: Container[str], now: float
) -> Grant:
    """A verified token against the route. The time and the end are looked at on every request, cached token or not."""
    if now >= token.exp + LEEWAY:
        raise invalid_token(resource, "expired")
    if token.gid in ended:
        raise invalid_token(resource, "what gave it was ended")
    form_due = _csrf_passed(route, request, resource, token.csrf) if token.csrf is not None else False
    if not token.scopes.issuperset(route.scopes):
        needed = " ".join(route.scopes)
        note = f"has {' '.join(sorted(token.scopes))}, needs {needed}"
        raise _challenged(resource, 403, "insufficient_scope", "this needs another permission", note, needed)
    return Grant(token=token, form_due=form_due)


def _csrf_passed(route: RoutePolicy, request: GuardRequest, resource: Resource, expected: str) -> bool:
    """Raises unless the page that sent this is ours; True when the form field has still to be compared."""
    if request.websocket:
        csrf.handshake_test(request.origin, resource.app_origin)
        return False
    if request.method in csrf.SAFE_METHODS:
        return False
    csrf.origin_test(request.method, request.sec_fetch_site, request.origin, resource.app_origin)
    if route.csrf is csrf.Rule.ORIGIN:
        return False
    if route.csrf is csrf.Rule.FORM and request.csrf is None:
        if request.content_type.partition(";")[0].strip().lower() in _FORM_TYPES:
            return True
        raise csrf_refused("neither X-CSRF-Token nor a form")
    if not csrf.matches(request.csrf, expected):
        raise csrf_refused("X-CSRF-Token missing" if request.csrf is None else "X-CSRF-Token is another")
    return False


def form_matches(grant: Grant, fields: list[str]) -> None:
    """The last step of `csrf = "form"`: the field `_csrf`, sent once, equals the token's claim."""
    expected = None if grant.token is None else grant.token.csrf
    if len(fields) != 1 or not csrf.matches(fields[0], expected):
        raise csrf_refused("form field _csrf missing" if not fields else "form field _csrf is another")


def undeclared() -> Denied:
    return Denied("undeclared", "this route is closed", "the route declares no policy", 403)


def form_too_big() -> Denied:
    return Denied("too_large", "the form is too big: send it by script with X-CSRF-Token", "form over its limit", 413)


def limit_passed(route: RoutePolicy, token: Token, limiter: Limiter) -> None:
    """Counts one call of the route for this person or client."""
    if route.limit is None:
        return
    who = token.sub if route.limit.per is Per.USER else token.client_id
    wait = limiter(f"{route.name}:{who}", route.limit)
    if wait > 0:
        raise Denied("rate_limited", "too many tries", f"over {route.limit}", 429, (("Retry-After", f"{wait:.0f}"),))


def csrf_refused(note: str) -> Denied:
    return Denied("csrf", "the page is out of date: reload it and try again", note, 403)


def invalid_token(resource: Resource, note: str) -> Denied:
    """One answer for every cause (RFC 6750 §3.1); the cause goes to the log."""
    return _challenged(resource, 401, "invalid_token", "the access token is not valid", note)


def token_of(claims: Mapping[str, Any], kid: str = "") -> Token:
    """The verified claims as a Token, or InvalidToken where one that we need is missing or of another type."""
    sub, client_id, scope, gid, csrf_claim = (claims.get(name) for name in ("sub", "client_id", "scope", "gid", "csrf"))
    for name, value in (("sub", sub), ("client_id", client_id), ("gid", gid)):
        if not isinstance(value, str) or not value:
            raise InvalidToken(f"{name} is missing")  # without a gid nothing could end it
    if not isinstance(scope, str | None) or not isinstance(csrf_claim, str | None) or csrf_claim == "":
        raise InvalidToken("scope or csrf is no string")
    return Token(
        sub=str(sub),
        client_id=str(client_id),
        scopes=frozenset((scope or "").split()),
        gid=str(gid),
        exp=claims["exp"],
        csrf=csrf_claim,
        claims=claims,
        kid=kid,
    )


def _challenged(resource: Resource, status: int, code: str, tell: str, note: str, scope: str = "") -> Denied:
    value = bearer.challenge(resource.realm, error=code, description=tell, scope=scope)
    return Denied(code, tell, note, status, (("WWW-Authenticate", value),))
