"""Design §2, "declare access where the route is": decorators that write a RoutePolicy onto a view function.

They add up: `@guard.scopes("photos.read")` with `@guard.limit("10/minute")`. A decorator that hides the view without
`functools.wraps` hides the declaration too, and the route is refused: closed, not open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from bartizan.guard.policy import FORM_LIMIT, RoutePolicy, Who
from bartizan.protocol.web import csp as csp_rules
from bartizan.protocol.web import limits
from bartizan.protocol.web.cors import Cors, NamedOrigins
from bartizan.protocol.web.csrf import Rule
from bartizan.protocol.web.limits import Per

View = TypeVar("View", bound=Callable[..., Any])
_MARK = "__bartizan_policy__"

UNDECLARED = RoutePolicy()
PUBLIC = RoutePolicy(who=Who.PUBLIC)


def policy_of(view: object) -> RoutePolicy:
    """What the view declares; UNDECLARED when nothing."""
    found = getattr(view, _MARK, UNDECLARED)
    return found if isinstance(found, RoutePolicy) else UNDECLARED


class Declaring:
    """The decorators of every adapter's Guard."""

    def scopes(self, *names: str, csrf: str = "token", form_limit: int = FORM_LIMIT) -> Callable[[View], View]:
        """A valid token that has all these scopes. `csrf`: "token" | "form" | "origin" (flows §3)."""
        if not names or not all(name and name.isascii() and " " not in name for name in names):
            raise ValueError("scopes() needs at least one scope; signed_in() is for any token")
        return _access(Who.SIGNED_IN, names, csrf, form_limit)

    def signed_in(self, *, csrf: str = "token", form_limit: int = FORM_LIMIT) -> Callable[[View], View]:
        """Any valid token for this audience."""
        return _access(Who.SIGNED_IN, (), csrf, form_limit)

    def optional(self, *, csrf: str = "token", form_limit: int = FORM_LIMIT) -> Callable[[View], View]:
        """Anybody; with a token, somebody. A bad token is refused, never taken for nobody."""
        return _access(Who.OPTIONAL, (), csrf, form_limit)

    def public(self) -> Callable[[View], View]:
        """Anybody, as nobody: no token is read."""
        return _access(Who.PUBLIC, (), "token", FORM_LIMIT)

    def limit(self, text: str) -> Callable[[View], View]:
        """`10/minute`, per user unless it says `per client`. Counted by the guard's limiter."""
        rate = limits.parse(text, Per.USER)
        return lambda view: _mark(view, limit=rate, name=f"{view.__module__}.{view.__qualname__}")

    def cors(self, *allowed: str | Cors) -> Callable[[View], View]:
        """The origins that may read this route by a bearer token; or one policy, `PublicRead()` for all the world."""
        named = tuple(one for one in allowed if isinstance(one, str))
        policies = [one for one in allowed if not isinstance(one, str)]
        if bool(named) + len(policies) != 1:
            raise ValueError("cors() takes origins, or one policy")
        cors = policies[0] if policies else NamedOrigins(origins=named)
        return lambda view: _mark(view, cors=cors)

    def csp(self, additions: Mapping[str, Iterable[str]]) -> Callable[[View], View]:
        """Sources that this route's page needs beyond the guard's policy."""
        kept = tuple((name, tuple(sources)) for name, sources in additions.items())
        csp_rules.Policy().adding(dict(kept))  # a bad source fails here, at import
        return lambda view: _mark(view, csp=kept)


def _access(who: Who, scopes: tuple[str, ...], csrf: str, form_limit: int) -> Callable[[View], View]:
    rule = Rule(csrf)

    def mark(view: View) -> View:
        if policy_of(view).who is not Who.UNDECLARED:
            raise ValueError(f"{getattr(view, '__name__', view)} declares twice who may call it")
        return _mark(view, who=who, scopes=scopes, csrf=rule, form_limit=form_limit)

    return mark


def _mark(view: View, **changes: Any) -> View:
    declared = replace(policy_of(view), **changes)
    setattr(view, _MARK, declared)
    return view
