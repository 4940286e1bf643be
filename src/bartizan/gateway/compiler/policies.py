"""What one route tells each filter of the chain: how to treat cookies, tokens, CSRF, scope, limit, body and CORS."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from bartizan.gateway.compiler import envoy_types as t
from bartizan.gateway.compiler import filters, published, scripts
from bartizan.gateway.compiler.envoy_types import Json
from bartizan.gateway.settings import Access
from bartizan.protocol.web.csrf import Rule
from bartizan.protocol.web.limits import Per, parse

_EXPOSED = "WWW-Authenticate, X-Request-Id, Retry-After, Content-Range, Content-Disposition"
_ALLOWED_HEADERS = "Authorization, Content-Type, X-CSRF-Token, Range, DPoP"
_PREFLIGHT_SECONDS = 600
_COUNTED_AT_ONCE = 10_000  # callers whose tokens a limit remembers; the longest unseen are forgotten


def looked_at(access: Access, csrf: Rule) -> Json:
    """Required and optional routes: the token is verified, the gate decides."""
    context = {"access": access.value, "csrf": csrf.value}
    return {
        published.JWT_FILTER: t.typed(t.JWT_ROUTE, requirement_name=published.REQUIREMENT),
        filters.GATE: t.typed(t.LUA_ROUTE, filter_context=context),
    }


def public() -> Json:
    """Our cookies removed, nothing else looked at."""
    return {filters.AUTHORITY: t.typed(t.LUA_ROUTE, name=scripts.PUBLIC), **_unchecked()}


def cookies_kept() -> Json:
    """Our own servers that live by our cookies, and check them themselves."""
    return {filters.AUTHORITY: t.typed(t.LUA_ROUTE, name=scripts.KEPT), **_unchecked()}


def untouched() -> Json:
    """Hosts that are not ours, and answers of the gateway itself."""
    return {filters.AUTHORITY: t.typed(t.LUA_ROUTE, disabled=True), **_unchecked()}


def answered(script: str) -> Json:
    """The request goes no further than to this script."""
    return {filters.AUTHORITY: t.typed(t.LUA_ROUTE, name=script), **_unchecked()}


def _unchecked() -> Json:
    return {
        published.JWT_FILTER: t.typed(t.JWT_ROUTE, disabled=True),
        published.ENDED_FILTER: t.typed(t.RBAC_ROUTE),  # a route rule without rules switches the filter off
        filters.GATE: t.typed(t.LUA_ROUTE, disabled=True),
    }


def scope(scopes: str, access: Access) -> Json:
    """RFC 6750 §3.1: every scope that the route names stands in the verified token. On a required route the filter also
    sees to it natively that there was one, whatever the script before it did."""
    patterns = (f"(.* )?{re.escape(one)}( .*)?" for one in scopes.split())
    held: list[Json] = [
        {"header": {"name": published.SCOPE, "string_match": {"safe_regex": {"regex": pattern}}}}
        for pattern in patterns
    ]
    if access is Access.REQUIRED:
        held.append({"header": {"name": published.GID, "present_match": True}})
    if not held:
        return {}
    policy = {"permissions": [{"and_rules": {"rules": held}}], "principals": [{"any": True}]}
    rules = {"action": "ALLOW", "policies": {"scope": policy}}
    return {filters.SCOPE: t.typed(t.RBAC_ROUTE, rbac={"rules": rules})}


def limit(text: str) -> Json:
    """A token bucket for each address or each user. `per user` counts who has no token by address."""
    if not text:
        return {}
    rate = parse(text)
    bucket = {"max_tokens": rate.amount, "tokens_per_fill": rate.amount, "fill_interval": t.seconds(rate.seconds)}
    by_address = {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}}
    anonymous = {
        "header_value_match": {
            "descriptor_value": "anonymous",
            "expect_match": False,
            "headers": [{"name": published.USER, "present_match": True}],
        }
    }
    if rate.per is Per.USER:
        by_user = {"request_headers": {"header_name": published.USER, "descriptor_key": "user"}}
        counted = [{"actions": [by_user]}, {"actions": [anonymous, by_address]}]
        keys: list[list[Json]] = [[{"key": "user"}], [{"key": "header_match", "value": "anonymous"}, _ADDRESS]]
    else:
        counted, keys = [{"actions": [by_address]}], [[_ADDRESS]]
    retry = {"key": "retry-after", "value": str(math.ceil(rate.seconds / rate.amount))}
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    config = t.typed(
        t.LOCAL_LIMIT,
        stat_prefix="limit",
        # for who has no key at all, which cannot be: every request has an address
        token_bucket=bucket,
        always_consume_default_token_bucket=False,
        filter_enabled=always,
        filter_enforced=always,
        max_dynamic_descriptors=_COUNTED_AT_ONCE,
        rate_limits=counted,
        descriptors=[{"entries": entries, "token_bucket": bucket} for entries in keys],
        response_headers_to_add=[{"header": retry, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
    )
    return {filters.LIMIT: config}


_ADDRESS: Json = {"key": "masked_remote_address"}


def body(limit_bytes: int) -> Json:
    """Held back until it is whole: a slow sender does not occupy the server behind, a big one gets 413."""
    return {filters.BODY: t.typed(t.BUFFER_ROUTE, buffer={"max_request_bytes": max(limit_bytes, 1)})}


def cors(origins: Iterable[str], methods: Iterable[str]) -> Json:
    """Exact origins, never credentials: a cookie never makes a cross-origin call (design §4)."""
    return _cors([{"exact": origin} for origin in origins], methods)


def cors_anyone(methods: Iterable[str]) -> Json:
    """Public documents such as the JWKS: any origin may read, none with credentials."""
    return _cors([{"safe_regex": {"regex": ".+"}}], methods)


def _cors(matchers: list[Json], methods: Iterable[str]) -> Json:
    if not matchers:
        return {}
    policy = t.typed(
        t.CORS_POLICY,
        allow_origin_string_match=matchers,
        allow_methods=", ".join(methods),
        allow_headers=_ALLOWED_HEADERS,
        expose_headers=_EXPOSED,
        max_age=str(_PREFLIGHT_SECONDS),
        # Envoy's own refusal would name methods and headers: an origin that is not listed gets no CORS header at all.
        forward_not_matching_preflights=True,
    )
    return {filters.CORS: policy}


def inner_location(inner: str, public_origin: str) -> Json:
    """Flows §9: the app's own address in its Location headers becomes the origin that the browser knows."""
    if not inner:
        return {}
    return {filters.LOCATION: t.typed(t.LUA_ROUTE, filter_context={"inner": inner, "public": public_origin})}
