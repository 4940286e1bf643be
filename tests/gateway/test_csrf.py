"""Flows §3: what an unsafe request under a cookie token must prove, and what a WebSocket handshake must."""

from __future__ import annotations

import pytest
from tests.gateway.site import CSRF, Site

SAME = ("Sec-Fetch-Site", "same-origin")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


@pytest.mark.parametrize("method", UNSAFE)
def test_the_table_of_tried(site: Site, method: str) -> None:
    cookie = site.cookies(site.cookie_token())
    assert site.ask(method, "/api/x", [cookie, SAME]).status == 403
    assert site.ask(method, "/api/x", [cookie, SAME, ("X-CSRF-Token", "d" * 22)]).status == 403
    assert site.ask(method, "/api/x", [cookie, SAME, ("X-CSRF-Token", CSRF)]).status == 200
    assert site.ask(method, "/api/x", [cookie, ("Sec-Fetch-Site", "same-site"), ("X-CSRF-Token", CSRF)]).status == 403
    assert site.ask(method, "/api/x", {"Authorization": f"Bearer {site.keys.token()}"}).status == 200


def test_a_refused_request_never_reaches_the_app(site: Site) -> None:
    site.ask("POST", "/api/never", [site.cookies(site.cookie_token()), SAME])
    assert not [line for line in site.servers["api"].seen if "never" in line]


def test_the_refusal_has_its_code(site: Site) -> None:
    answer = site.ask("POST", "/api/x", [site.cookies(site.cookie_token()), SAME])
    assert answer.json() == {"error": "csrf", "error_description": "The CSRF token is missing or not yours."}


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ([], False),
        ([("Origin", "null")], False),
        ([("Origin", "{app}")], True),
        ([("Origin", "{app}x")], False),
        ([("Origin", "http://evil.example")], False),
        ([("Sec-Fetch-Site", "same-origin"), ("Origin", "null")], True),
        ([("Sec-Fetch-Site", "cross-site"), ("Origin", "{app}")], False),
        ([("Sec-Fetch-Site", "none")], False),
        ([("Sec-Fetch-Site", "")], False),
        ([("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], False),
    ],
)
def test_the_origin_test(site: Site, headers: list[tuple[str, str]], passes: bool) -> None:
    sent = [(name, value.replace("{app}", site.settings.app_origin)) for name, value in headers]
    cookie = site.cookies(site.cookie_token())
    for path in ("/api/x", "/beacon/x", "/form/x", "/maybe/x", "/files"):
        answer = site.ask("POST", path, [cookie, ("X-CSRF-Token", CSRF), *sent])
        assert answer.status == (200 if passes else 403), path


def test_safe_methods_prove_nothing(site: Site) -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        cross = ("Sec-Fetch-Site", "cross-site")
        assert site.ask(method, "/api/x", [site.cookies(site.cookie_token()), cross]).status == 200


def test_form_takes_a_form_or_the_right_header(site: Site) -> None:
    cookie = site.cookies(site.cookie_token())
    json_body = ("Content-Type", "application/json")
    assert site.ask("POST", "/form/x", [cookie, SAME, FORM]).status == 200
    assert (
        site.ask("POST", "/form/x", [cookie, SAME, ("Content-Type", "Multipart/Form-Data; boundary=x")]).status == 200
    )
    assert site.ask("POST", "/form/x", [cookie, SAME, json_body]).status == 403
    assert site.ask("POST", "/form/x", [cookie, SAME]).status == 403
    assert (
        site.ask("POST", "/form/x", [cookie, SAME, ("Content-Type", "text/plain; multipart/form-data")]).status == 403
    )
    assert site.ask("POST", "/form/x", [cookie, SAME, json_body, ("X-CSRF-Token", CSRF)]).status == 200
    assert site.ask("POST", "/form/x", [cookie, SAME, FORM, ("X-CSRF-Token", "wrong")]).status == 403
    assert site.ask("POST", "/form/x", [cookie, ("Sec-Fetch-Site", "cross-site"), FORM]).status == 403


def test_origin_alone_for_beacons(site: Site) -> None:
    cookie = site.cookies(site.cookie_token())
    assert site.ask("POST", "/beacon/x", [cookie, SAME, ("Content-Type", "text/plain")]).status == 200
    assert site.ask("POST", "/beacon/x", [cookie, ("Sec-Fetch-Site", "same-site")]).status == 403


def test_an_empty_claim_is_matched_by_nothing(site: Site) -> None:
    token = site.keys.token(csrf="")
    assert site.ask("POST", "/api/x", [site.cookies(token), SAME, ("X-CSRF-Token", "")]).status in (401, 403)
    assert site.ask("POST", "/api/x", [site.cookies(token), SAME]).status in (401, 403)
