"""Flows §4: who comes without a valid token is sent to renew, where that can help; else 401."""

from __future__ import annotations

import socket
import time

import pytest
from tests.gateway.site import Site

NAVIGATE = [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "none"), ("Accept", "text/html")]
FETCH = [("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Site", "same-origin")]


@pytest.mark.parametrize("path", ["/api/x", "/api/x?a=1&b=/c?d&return_to=//evil", "/api/%20y?q=%25"])
def test_a_navigation_is_sent_to_renew_with_its_raw_path(site: Site, path: str) -> None:
    answer = site.ask("GET", path, NAVIGATE)
    assert answer.status == 303
    assert answer.header("location") == f"/bff/renew?return_to={path}"
    assert answer.header("content-length") in (None, "0")


def test_an_expired_cookie_is_renewed_too(site: Site) -> None:
    expired = site.cookies(site.cookie_token(exp=int(time.time()) - 60), refresh=True, csrf=True)
    assert site.ask("GET", "/api/x", [expired, *NAVIGATE]).status == 303
    assert site.ask("GET", "/api/x", [expired, *FETCH]).status == 307
    assert site.ask("POST", "/api/x", [expired, *FETCH], body=b"x" * 1000).status == 307


def test_a_navigation_that_posts_is_replayed_and_not_turned_into_get(site: Site) -> None:
    post = [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "same-origin"), site.cookies(refresh=True)]
    answer = site.ask("POST", "/form/x", post, body=b"a=1")
    assert (answer.status, answer.header("location")) == (307, "/bff/renew?return_to=/form/x")
    cross = [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "cross-site"), site.cookies(refresh=True)]
    assert site.ask("POST", "/form/x", cross, body=b"a=1").status == 401


def test_an_own_script_is_sent_to_renew_only_with_a_refresh_cookie_from_our_origin(site: Site) -> None:
    refresh = site.cookies(refresh=True)
    answer = site.ask("PUT", "/api/x?y=1", [refresh, *FETCH], body=b"{}")
    assert (answer.status, answer.header("location")) == (307, "/bff/renew?return_to=/api/x?y=1")
    assert site.ask("PUT", "/api/x", FETCH).status == 401
    assert site.ask("PUT", "/api/x", [site.cookies(csrf=True), *FETCH]).status == 401
    for value in ("same-site", "cross-site", "none"):
        assert site.ask("GET", "/api/x", [refresh, ("Sec-Fetch-Site", value)]).status == 401, value
    assert site.ask("GET", "/api/x", [refresh]).status == 401


def test_a_body_over_4_mb_is_not_replayed(site: Site) -> None:
    refresh = site.cookies(refresh=True)
    for length in ("Content-Length: 4000001", "Content-Length: 40000000", "Transfer-Encoding: chunked"):
        status, _ = site.raw(
            f"POST /api/x HTTP/1.1\nHost: {site.host('app')}\nCookie: {refresh[1]}\n"
            f"Sec-Fetch-Site: same-origin\n{length}\nConnection: close\n\n"
        )
        assert status == 401, length


def test_a_bearer_that_does_not_hold_is_never_renewed(site: Site) -> None:
    answer = site.ask("GET", "/api/x", [("Authorization", "Bearer x"), site.cookies(refresh=True, csrf=True), *FETCH])
    assert answer.status == 401
    assert answer.header("www-authenticate") == 'Bearer error="invalid_token"'


def test_optional_renews_only_who_was_signed_in(site: Site) -> None:
    assert site.ask("GET", "/maybe/x", NAVIGATE).status == 200
    assert site.ask("GET", "/maybe/x", [site.cookies(csrf=True), *NAVIGATE]).status == 303
    assert site.ask("GET", "/maybe/x", [site.cookies(refresh=True), *FETCH]).status == 200
    assert site.ask("GET", "/maybe/x", [site.cookies(refresh=True, csrf=True), *FETCH]).status == 307


def test_public_never_renews(site: Site) -> None:
    assert site.ask("GET", "/open/x", [site.cookies(refresh=True, csrf=True), *NAVIGATE]).status == 200


def test_the_path_cannot_lead_elsewhere(site: Site) -> None:
    for path in ("//evil.example/api", "/\\evil.example/", "/api/../..//evil.example"):
        answer = site.ask("GET", path, NAVIGATE)
        location = answer.header("location") or ""
        assert "return_to=//" not in location, path
        assert "return_to=/\\" not in location, path
        assert answer.status in (200, 400, 303, 404), path


def test_a_big_body_survives_the_early_answer(site: Site) -> None:
    """Chromium drops a redirect when the connection is reset under its upload: the body is taken in whole before."""
    body = b"x" * 3_999_999
    head = (
        f"POST /api/x HTTP/1.1\r\nHost: {site.host('app')}\r\nCookie: {site.cookies(refresh=True)[1]}\r\n"
        f"Sec-Fetch-Site: same-origin\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", site.port), 10) as connection:
        connection.sendall(head.encode())
        for start in range(0, len(body), 262144):
            connection.sendall(body[start : start + 262144])
        assert connection.recv(65536).startswith(b"HTTP/1.1 307")
