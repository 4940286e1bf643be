"""RFC 8414, OIDC Discovery §3: what this server says of itself, from the very tables it runs on."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from bartizan.protocol.oauth import authorize, credentials, pkce


class Paths(Struct, frozen=True, kw_only=True):
    """Where the endpoints are; the routes are mounted from the same value."""

    authorize: str = "/authorize"
    token: str = "/token"  # noqa: S105 - a path
    par: str = "/par"
    revoke: str = "/revoke"
    introspect: str = "/introspect"
    userinfo: str = "/userinfo"
    jwks: str = "/jwks"
    logout: str = "/logout"
    openid: str = "/.well-known/openid-configuration"
    oauth: str = "/.well-known/oauth-authorization-server"
    ended: str = "/.well-known/bartizan/ended"


def document(
    issuer: str, paths: Paths, *, grants: Sequence[str], scopes: Sequence[str], claims: Sequence[str], algorithm: str
) -> dict[str, object]:
    """One document serves both well-known paths: each RFC lets unknown members pass."""
    confidential = [method for method in credentials.METHODS if method != credentials.NONE]
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + paths.authorize,
        "token_endpoint": issuer + paths.token,
        "pushed_authorization_request_endpoint": issuer + paths.par,
        "revocation_endpoint": issuer + paths.revoke,
        "introspection_endpoint": issuer + paths.introspect,
        "userinfo_endpoint": issuer + paths.userinfo,
        "jwks_uri": issuer + paths.jwks,
        "end_session_endpoint": issuer + paths.logout,
        "scopes_supported": list(scopes),
        "claims_supported": list(claims),
        "response_types_supported": list(authorize.RESPONSE_TYPES),
        "response_modes_supported": list(authorize.RESPONSE_MODES),
        "prompt_values_supported": list(authorize.PROMPTS),
        "grant_types_supported": list(grants),
        "code_challenge_methods_supported": list(pkce.METHODS),
        "token_endpoint_auth_methods_supported": list(credentials.METHODS),
        "revocation_endpoint_auth_methods_supported": list(credentials.METHODS),
        "introspection_endpoint_auth_methods_supported": confidential,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [algorithm],
        "authorization_response_iss_parameter_supported": True,
        "require_pushed_authorization_requests": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
        "bartizan_ended_uri": issuer + paths.ended,
    }
