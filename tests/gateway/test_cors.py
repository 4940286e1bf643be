"""Design §4, story 6: exact origins, never credentials, on every answer; preflights end at the gateway."""

from __future__ import annotations

import pytest
from tests.gateway.conftest import PARTNER
from tests.gateway.site import Site

PREFLIGHT = [("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Headers", "authorization")]
CORS_HEADERS = (
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-allow-credentials",
    "access-control-expose-headers",
)


def test_a_preflight_is_answered_at_the_gateway(site: Site) -> None:
    before = len(site.servers["api"].seen)
    answer = site.ask("OPTIONS", "/api/x", [("Origin", PARTNER), *PREFLIGHT])
    assert answer.status == 200
    assert answer.header("access-control-allow-origin") == PARTNER
    assert "authorization" in (answer.header("access-control-allow-headers") or "").lower()
    assert "DELETE" in (answer.header("access-control-allow-methods") or "")
    assert answer.header("access-control-allow-credentials") is None
    assert answer.header("access-control-max-age") == "600"
    assert len(site.servers["api"].seen) == before


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://partner.example.evil", "https://partner.example", "http://PARTNER.example"],
)
def test_another_origin_gets_no_cors_header_at_all(site: Site, origin: str) -> None:
    bearer = ("Authorization", f"Bearer {site.keys.token()}")
    for method, path, headers in (
        ("OPTIONS", "/api/x", PREFLIGHT),
        ("GET", "/api/x", [bearer]),
        ("GET", "/api/x", []),
        ("GET", "/api/x?status=500", [bearer]),
        ("GET", "/dead/x", []),
        ("OPTIONS", "/token", PREFLIGHT),
    ):
        answer = site.ask(
            method, path, [("Origin", origin), *headers], host=site.host("id") if path == "/token" else None
        )
        assert [name for name, _ in answer.headers if name in CORS_HEADERS] == [], (method, path)


def test_errors_have_the_headers_too(site: Site) -> None:
    origin = ("Origin", PARTNER)
    bearer = ("Authorization", f"Bearer {site.keys.token()}")
    for status, path, headers in (
        (200, "/api/x", [bearer]),
        (401, "/api/x", []),
        (401, "/api/x", [("Authorization", "Bearer x")]),
        (403, "/api/x", [("Authorization", f"Bearer {site.cookie_token()}")]),
        (404, "/api/x?status=404", [bearer]),
        (500, "/api/x?status=500", [bearer]),
        (503, "/dead/x", []),
    ):
        answer = site.ask("POST", path, [origin, *headers])
        assert (answer.status, answer.header("access-control-allow-origin")) == (status, PARTNER), path
        assert "WWW-Authenticate" in (answer.header("access-control-expose-headers") or "")
        assert answer.header("access-control-allow-credentials") is None
        assert answer.header("vary") == "Origin" or answer.header("cache-control") == "no-store", (status, path)


def test_too_large_has_them_too(site: Site) -> None:
    bearer = ("Authorization", f"Bearer {site.keys.token()}")
    answer = site.ask("POST", "/api/x", [("Origin", PARTNER), bearer], body=b"x" * 200_001)
    assert (answer.status, answer.header("access-control-allow-origin")) == (413, PARTNER)


def test_routes_without_cors_have_none(site: Site) -> None:
    answer = site.ask("GET", "/beacon/x", [("Origin", PARTNER), ("Authorization", f"Bearer {site.keys.token()}")])
    assert (answer.status, answer.header("access-control-allow-origin")) == (200, None)
    assert site.ask("OPTIONS", "/beacon/x", [("Origin", PARTNER), *PREFLIGHT]).status == 401


def test_own_rows(site: Site) -> None:
    host = site.host("id")
    answer = site.ask("GET", "/jwks", {"Origin": "http://anybody.example"}, host=host)
    assert answer.header("access-control-allow-origin") == "http://anybody.example"
    assert answer.header("access-control-allow-credentials") is None
    answer = site.ask("OPTIONS", "/token", [("Origin", PARTNER), *PREFLIGHT], host=host)
    assert (answer.status, answer.header("access-control-allow-origin")) == (200, PARTNER)
    assert answer.header("access-control-allow-methods") == "POST"
    answer = site.ask("OPTIONS", "/token", [("Origin", "http://new.example"), *PREFLIGHT], host=host)
    assert answer.seen["server"] == "auth"  # registered since: auth knows
    answer = site.ask("OPTIONS", "/signin", [("Origin", PARTNER), *PREFLIGHT], host=host)
    assert answer.header("access-control-allow-origin") is None
    answer = site.ask("OPTIONS", "/bff/renew", [("Origin", PARTNER), *PREFLIGHT])
    assert answer.header("access-control-allow-origin") is None
