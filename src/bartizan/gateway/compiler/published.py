"""Flows §7: the three things that change while Envoy runs, as the files that it watches.

The JWT check with the keys inline, the list of the ended, the certificate. The agent writes them; Envoy does not start
without them (closed).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bartizan.gateway.compiler import envoy_types as t
from bartizan.gateway.compiler.envoy_types import Json
from bartizan.gateway.settings import GatewaySettings
from bartizan.protocol.jose import LEEWAY

JWT_FILE = "jwt.json"
ENDED_FILE = "ended.json"
CERTIFICATE_FILE = "certificate.json"

JWT_FILTER = "jwt"
ENDED_FILTER = "ended"
CERTIFICATE = "certificate"
PROVIDER = "bartizan"
REQUIREMENT = "look"  # verify a token if there is one; the gate says what follows

GID, CSRF, SCOPE, USER = "x-bartizan-gid", "x-bartizan-csrf", "x-bartizan-scope", "x-bartizan-user"
_CLAIMS = ((GID, "gid"), (CSRF, "csrf"), (SCOPE, "scope"), (USER, "sub"))

MOST_TOKENS = 1000  # held verified by each of Envoy's workers, the longest unused leaves: 9 MB when it is full
_NOBODY = "-"  # Envoy wants at least one entry in a map; no gid looks so


def jwt(settings: GatewaySettings, jwks: str) -> Json:
    """Signature, issuer, audience, times (RFC 9068 §4). `typ` is the guard's: the gate wants a `gid`, and only
    access tokens have one."""
    provider = {
        "issuer": settings.id_origin,
        "audiences": list(settings.audiences or (settings.app_origin,)),
        "local_jwks": {"inline_string": jwks},
        "forward": True,
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "require_expiration": True,
        "clock_skew_seconds": LEEWAY,
        "jwt_cache_config": {"jwt_cache_size": MOST_TOKENS, "jwt_max_token_size": 4096},
        "claim_to_headers": [{"header_name": header, "claim_name": claim} for header, claim in _CLAIMS],
    }
    look = {"requires_any": {"requirements": [{"provider_name": PROVIDER}, {"allow_missing_or_failed": {}}]}}
    return _filter(JWT_FILTER, t.typed(t.JWT, providers={PROVIDER: provider}, requirement_map={REQUIREMENT: look}))


def no_keys() -> Json:
    """Before the first keys are known (Envoy takes no empty JWKS): no token verifies."""
    return _filter(JWT_FILTER, t.typed(t.JWT, requirement_map={REQUIREMENT: {"allow_missing_or_failed": {}}}))


def ended(gids: Iterable[str]) -> Json:
    """One hash look-up by the `gid` of the verified token, however long the list."""
    refused = dict.fromkeys(sorted({_NOBODY, *gids}), _action("ended", "DENY"))  # one for all: a kilobyte less for each
    return _deny_list({"exact_match_map": {"map": refused}}, GID)


def unseen() -> Json:
    """The feed was not seen for too long: whoever shows a token on a route that looks at it gets 503."""
    return _deny_list({"prefix_match_map": {"map": {"": _action("unseen", "DENY")}}}, "authorization")


def certificate(chain: str, key: str) -> Json:
    secret = {
        "name": CERTIFICATE,
        "tls_certificate": {"certificate_chain": {"inline_string": chain}, "private_key": {"inline_string": key}},
    }
    return _discovery(t.SECRET, secret)


def _deny_list(tree: Json, header: str) -> Json:
    by_header = t.named("header", t.typed(t.REQUEST_HEADER, header_name=header))
    matcher = {"matcher_tree": {"input": by_header, **tree}, "on_no_match": _action("live", "ALLOW")}
    return _filter(ENDED_FILTER, t.typed(t.RBAC, matcher=matcher))


def _action(name: str, verdict: str) -> Json:
    return {"action": t.named("action", t.typed(t.RBAC_ACTION, name=name, action=verdict))}


def _filter(name: str, config: Json) -> Json:
    return _discovery(t.EXTENSION, {"name": name, "typed_config": config})


def _discovery(kind: str, resource: dict[str, Any]) -> Json:
    return {"resources": [t.typed(kind, **resource)]}
