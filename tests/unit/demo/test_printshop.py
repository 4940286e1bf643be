"""The print shop: connects by code and PKCE, reads, cannot delete, and takes an ended access kindly."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from tests.unit.demo.provider import CLIENT, SECRET, Provider, running
from werkzeug.test import TestResponse

from bartizan.demo.printshop.app import create_app
from bartizan.demo.printshop.settings import Settings

ORIGIN = "http://print.localhost:8080"
OWN_FORM = {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)  # the shop teaches it `*.localhost`: put it back
    with running() as one:
        yield one


@pytest.fixture
def shop(provider: Provider) -> FlaskClient:
    settings = Settings(
        origin=ORIGIN,
        issuer=provider.origin,
        api=provider.origin,
        files="http://files.localhost:8080",
        client_id=CLIENT,
        client_secret=SECRET,
        scope="openid profile photos.read offline_access",
    )
    return create_app(settings).test_client()


def connect(shop: FlaskClient) -> TestResponse:
    """What the browser does: to the provider and back."""
    start = shop.post("/connect", headers=OWN_FORM)
    assert start.status_code == 303
    back = requests.get(start.location, allow_redirects=False, timeout=5)
    parts = urlsplit(back.headers["Location"])
    assert f"{parts.scheme}://{parts.netloc}" == ORIGIN
    return shop.get(f"{parts.path}?{parts.query}", follow_redirects=True)


def test_it_connects_and_shows_photos(shop: FlaskClient, provider: Provider) -> None:
    assert 'id="connect"' in shop.get("/").text
    page = connect(shop).text
    assert 'id="photos"' in page
    assert "Alice Larsen" in page
    assert "/f/f1/thumb" in page
    assert "/f/new/original" in page
    assert "Harbour &lt;b&gt;" in page


def test_the_browser_never_holds_a_token(shop: FlaskClient, provider: Provider) -> None:
    connect(shop)
    (cookie,) = [cookie for cookie in (shop._cookies or {}).values() if cookie.key == "printshop"]
    assert cookie.http_only
    token = provider.seen[0].removeprefix("Bearer ")
    assert token not in cookie.value
    assert token not in shop.get("/").text


def test_trying_to_delete_shows_the_refusal(shop: FlaskClient) -> None:
    connect(shop)
    page = shop.post("/try-delete", data={"photo": "p1"}, headers=OWN_FORM).text
    assert '<strong id="attempt-status">403</strong>' in page
    assert 'action="/try-delete#try-h"' in page, "the answer is below all the photos, and seen by who asked"
    assert "insufficient_scope" in page
    assert "photos.write" in page


def test_its_own_script_gets_a_token_for_the_one_open_route(shop: FlaskClient, provider: Provider) -> None:
    assert shop.get("/page-token").status_code == 401
    connect(shop)
    answer = shop.get("/page-token")
    assert f"Bearer {answer.json['access_token']}" in provider.seen  # type: ignore[index] # it is JSON
    assert answer.headers["Cache-Control"] == "no-store"
    assert f"connect-src 'self' {provider.origin};" in answer.headers["Content-Security-Policy"]


def test_a_token_near_its_end_is_renewed(shop: FlaskClient, provider: Provider) -> None:
    provider.lifetime = 5
    connect(shop)
    assert provider.refreshed >= 1


@pytest.mark.parametrize("lifetime", [5, 300])
def test_ended_access_is_said_kindly_and_forgotten(shop: FlaskClient, provider: Provider, lifetime: int) -> None:
    provider.lifetime = lifetime
    connect(shop)
    provider.ended = True
    page = shop.get("/").text
    assert 'id="access-ended"' in page
    assert 'id="connect"' in page
    assert 'id="access-ended"' not in shop.get("/").text


def test_a_no_and_a_stale_callback_are_answered(shop: FlaskClient, provider: Provider) -> None:
    provider.denies = True
    assert 'id="access-denied"' in connect(shop).text
    assert 'id="connect-failed"' in shop.get("/callback?code=x&state=forged").text


def test_another_page_cannot_post_here(shop: FlaskClient) -> None:
    connect(shop)
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.localhost"}, {"Origin": "null"}):
        for path in ("/connect", "/disconnect", "/try-delete"):
            assert shop.post(path, headers=headers).status_code == 403
    assert 'id="photos"' in shop.get("/").text


def test_snapshots_away_is_one_sentence(shop: FlaskClient, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(shop)

    def away(*_: object, **__: object) -> None:
        raise requests.ConnectionError

    monkeypatch.setattr(requests, "request", away)
    answer = shop.get("/")
    assert answer.status_code == 503
    assert 'id="snapshots-away"' in answer.text
