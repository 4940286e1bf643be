"""CORS, CSP and the security headers: what can be written, and what comes out."""

from __future__ import annotations

from typing import Any

import pytest

from bartizan.protocol.web import csp, headers
from bartizan.protocol.web.cors import NamedOrigins, PublicRead, is_preflight, preflight_headers, response_headers
from bartizan.protocol.web.csp import Policy

PRINT = "http://print.localhost:8080"
NAMED = NamedOrigins(origins=(PRINT,))


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "*",
        PRINT + "/",
        PRINT[:-1],
        PRINT + "0",
        "http://print.localhost",
        "https://print.localhost:8080",
        PRINT.upper(),
        "http://evil-print.localhost:8080",
    ],
)
def test_any_other_origin_gets_no_cors_headers(origin: str | None) -> None:
    assert response_headers(NAMED, origin) == (("Vary", "Origin"),)
    assert preflight_headers(NAMED, origin, "GET") == (("Vary", "Origin"),)
    assert response_headers(None, origin) == preflight_headers(None, origin, "GET") == ()


def test_a_named_origin_is_named() -> None:
    found = dict(response_headers(NAMED, PRINT))
    assert found == {
        "Access-Control-Allow-Origin": PRINT,
        "Access-Control-Expose-Headers": "WWW-Authenticate",
        "Vary": "Origin",
    }
    with_cookies = NamedOrigins(origins=(PRINT,), credentials=True)
    assert dict(response_headers(with_cookies, PRINT))["Access-Control-Allow-Credentials"] == "true"


def test_preflight_of_a_named_origin() -> None:
    found = dict(preflight_headers(NAMED, PRINT, "DELETE"))
    assert found["Access-Control-Allow-Origin"] == PRINT
    assert "DELETE" in found["Access-Control-Allow-Methods"]
    assert found["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert preflight_headers(NAMED, PRINT, "TRACE") == (("Vary", "Origin"),)
    assert is_preflight("OPTIONS", PRINT, "GET")
    assert not is_preflight("OPTIONS", PRINT, None)
    assert not is_preflight("GET", PRINT, "GET")


def test_public_is_for_reading_and_without_credentials() -> None:
    assert response_headers(PublicRead(), PRINT) == (("Access-Control-Allow-Origin", "*"),)
    assert dict(preflight_headers(PublicRead(), PRINT, "GET"))["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert preflight_headers(PublicRead(), PRINT, "POST") == ()


def test_star_with_credentials_cannot_be_written() -> None:
    public: Any = PublicRead
    with pytest.raises(TypeError):
        public(credentials=True)
    for origin in ("*", "null", "https://*.example.com", "https://a.com/", "HTTPS://a.com", "https://a.com:443"):
        with pytest.raises(ValueError, match="origin"):
            NamedOrigins(origins=(origin,), credentials=True)


NONCE = "A" * 22


def test_the_policy_is_strict_and_a_route_adds_hosts() -> None:
    assert Policy().render() == (
        "default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )
    wider = Policy().adding(
        {"style-src": ["https://fonts.example"], "frame-ancestors": ["'self'"], "img-src": ["data:"]}
    )
    assert wider.sources("style-src") == ("'self'", "https://fonts.example")
    assert wider.sources("frame-ancestors") == ("'self'",)  # 'none' gave way
    assert wider.sources("img-src") == ("'self'", "data:")  # began as default-src
    assert wider.adding({"img-src": ["data:"]}) == wider
    assert Policy().adding({"form-action": ["com.example.app:"]}).sources("form-action") == (
        "'self'",
        "com.example.app:",
    )
    assert Policy().adding({"script-src": []}) == Policy()
    assert csp.SANDBOX.render() == "sandbox; default-src 'none'"


def test_the_nonce_and_the_reports() -> None:
    text = Policy().reporting("/bff/csp-report").with_nonce(NONCE).render()
    assert f"script-src 'self' 'nonce-{NONCE}'; style-src 'self' 'nonce-{NONCE}'" in text
    assert text.endswith("; report-uri /bff/csp-report")


@pytest.mark.parametrize("nonce", ["", "short", "A" * 21, "A" * 21 + "'", "A" * 22 + "; script-src *"])
def test_a_weak_nonce_is_none(nonce: str) -> None:
    with pytest.raises(ValueError, match="nonce"):
        Policy().with_nonce(nonce)


@pytest.mark.parametrize(
    ("directive", "source"),
    [
        ("script-src", "'unsafe-inline'"),
        ("script-src", "'UNSAFE-EVAL'"),
        ("script-src", "*"),
        ("script-src", "https:"),
        ("script-src", "data:"),
        ("script-src", "blob:"),
        ("style-src", "'unsafe-inline'"),
        ("default-src", "http:"),
        ("img-src", "*"),
        ("img-src", "'none'"),
        ("img-src", "a; script-src *"),
        ("img-src", "a,b"),
        ("img-src", "a b"),
        ("img-src", ""),
        ("img-src", "é"),
        ("img-src; x", "a"),
        ("", "a"),
    ],
)
def test_what_undoes_the_policy_has_to_be_written_out(directive: str, source: str) -> None:
    with pytest.raises(ValueError, match=r"CSP|undoes|added"):
        Policy().adding({directive: [source]})


def test_written_out_it_can_be() -> None:
    assert "'unsafe-inline'" in Policy().unsafely_adding({"style-src": ["'unsafe-inline'"]}).render()
    with pytest.raises(ValueError, match="CSP source"):
        Policy().unsafely_adding({"style-src": ["a; b"]})
    with pytest.raises(ValueError, match="path"):
        Policy().reporting("https://elsewhere.example/x")


def test_security_headers() -> None:
    plain = dict(headers.security_headers(https=False, csp="default-src 'self'"))
    assert plain["X-Content-Type-Options"] == "nosniff"
    assert plain["Referrer-Policy"] == "same-origin"
    assert plain["Cross-Origin-Opener-Policy"] == "same-origin"
    assert plain["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in plain["Permissions-Policy"]
    assert "Strict-Transport-Security" not in plain
    assert "Strict-Transport-Security" in dict(headers.security_headers(https=True, csp="x"))
