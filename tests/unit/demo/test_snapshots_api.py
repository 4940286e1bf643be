"""Snapshots behind its guard: scopes, own photos only, CSRF in header and form, CORS on one route, titles escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bartizan.demo.api.app import create_app
from bartizan.demo.api.settings import Settings
from bartizan.guard.testing import CSRF, Issuer

PRINT = "http://print.localhost:8080"
READ, WRITE = ["photos.read"], ["photos.read", "photos.write"]


def client_of(issuer: Issuer, data: Path, *, unsafe: bool = False) -> FlaskClient:
    settings = Settings(
        issuer=issuer.issuer,
        app_origin=issuer.app_origin,
        audience=issuer.audience,
        print_origin=PRINT,
        data=data,
        unsafe_titles=unsafe,
    )
    return create_app(settings, source=issuer).test_client()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def client(issuer: Issuer, tmp_path: Path) -> FlaskClient:
    return client_of(issuer, tmp_path)


def _json(answer: TestResponse) -> Any:
    return answer.json


def new(title: str = "Harbour") -> dict[str, str]:
    return {"title": title, "file_id": str(uuid4())}


def test_a_person_adds_lists_and_deletes_her_own(client: FlaskClient, issuer: Issuer) -> None:
    alice, bob = issuer.browser("alice", scopes=WRITE), issuer.browser("bob", scopes=WRITE)
    made = client.post("/api/photos", json=new(), headers=alice)
    assert made.status_code == 201
    photo_id = _json(made)["id"]
    assert [photo["title"] for photo in _json(client.get("/api/photos", headers=alice))["photos"]] == ["Harbour"]
    assert client.get("/api/photos", headers=bob).json == {"photos": []}
    assert client.delete(f"/api/photos/{photo_id}", headers=bob).status_code == 404
    assert client.get(f"/views/photos/{photo_id}/edit", headers=bob).status_code == 404
    assert client.delete(f"/api/photos/{photo_id}", headers=alice).status_code == 204
    assert client.get("/api/photos", headers=alice).json == {"photos": []}


def test_who_may_only_read_cannot_write_and_is_told_which_right_is_missing(client: FlaskClient, issuer: Issuer) -> None:
    shop = issuer.bearer("alice", scopes=READ)
    assert client.get("/api/photos", headers=shop).status_code == 200
    answer = client.delete(f"/api/photos/{uuid4()}", headers=shop)
    assert answer.status_code == 403
    challenge = answer.headers["WWW-Authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="photos.write"' in challenge


def test_nobody_is_refused_and_an_ended_session_is_too(client: FlaskClient, issuer: Issuer) -> None:
    assert client.get("/api/photos").status_code == 401
    headers = issuer.bearer("alice", scopes=READ, gid="g1")
    assert client.get("/api/photos", headers=headers).status_code == 200
    issuer.end("g1")
    assert client.get("/api/photos", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'{"title": "x"}', b'{"title": 1, "file_id": "x"}',
        b'{"title": "x", "file_id": "../etc"}', b'{"title": "x", "file_id": null}', b"\xff\xfe",
        b'{"title": "x", "file_id": "018f0000-0000-7000-8000-000000000000", "owner": "bob"}',
        b'{"title": "", "file_id": "018f0000-0000-7000-8000-000000000000"}',
        b'{"title": "a\\nb", "file_id": "018f0000-0000-7000-8000-000000000000"}',
        b'{"title": "' + b"x" * 121 + b'", "file_id": "018f0000-0000-7000-8000-000000000000"}',
    ],
)  # fmt: skip
def test_what_is_no_photo_changes_nothing(client: FlaskClient, issuer: Issuer, body: bytes) -> None:
    alice = issuer.browser("alice", scopes=WRITE)
    answer = client.post("/api/photos", data=body, content_type="application/json", headers=alice)
    assert (answer.status_code, answer.json) == (400, {"error": "bad_request"})
    assert client.get("/api/photos", headers=alice).json == {"photos": []}


def test_a_script_needs_the_csrf_header(client: FlaskClient, issuer: Issuer) -> None:
    alice = issuer.browser("alice", scopes=WRITE)
    for name, value in (("X-CSRF-Token", "wrong"), ("Sec-Fetch-Site", "cross-site")):
        assert client.post("/api/photos", json=new(), headers=alice | {name: value}).status_code == 403
    assert client.get("/api/photos", headers=alice).json == {"photos": []}


def test_a_plain_form_carries_the_csrf_field(client: FlaskClient, issuer: Issuer) -> None:
    alice = issuer.browser("alice", scopes=WRITE)
    del alice["X-CSRF-Token"]
    page = client.get("/views/photos", headers=alice).text
    assert f'name="_csrf" value="{CSRF}"' in page
    assert client.post("/views/photos", data={"title": "x"}, headers=alice).status_code == 403
    assert client.post("/views/photos", data={"title": "x", "_csrf": "wrong"}, headers=alice).status_code == 403
    done = client.post("/views/photos", data={"title": "Birches", "_csrf": CSRF}, headers=alice)
    assert (done.status_code, done.location) == (303, "/views/photos")
    photo_id = _json(client.get("/api/photos", headers=alice))["photos"][0]["id"]
    edit = f"/views/photos/{photo_id}/edit"
    assert "Rename" in client.get(edit, headers=alice).text
    assert client.post(edit, data={"title": "  ", "_csrf": CSRF}, headers=alice).status_code == 400
    assert client.post(edit, data={"title": "Old birches", "_csrf": CSRF}, headers=alice).status_code == 303
    assert "Old birches" in client.get("/views/photos", headers=alice).text


def test_only_the_print_shops_page_may_read_the_shared_route(client: FlaskClient, issuer: Issuer) -> None:
    shop = issuer.bearer("alice", scopes=READ)
    for path, headers, status in (
        ("/api/shared", shop, 200),
        ("/api/shared", {}, 401),
        ("/api/shared?fail=1", shop, 500),
    ):
        allowed = client.get(path, headers={**headers, "Origin": PRINT})
        assert (allowed.status_code, allowed.headers.get("Access-Control-Allow-Origin")) == (status, PRINT)
        other = client.get(path, headers={**headers, "Origin": "http://evil.localhost"})
        assert not [name for name, _ in other.headers if name.startswith("Access-Control")]
    assert "Access-Control-Allow-Origin" not in client.get("/api/photos", headers={**shop, "Origin": PRINT}).headers


@pytest.mark.parametrize("unsafe", [False, True])
def test_a_title_is_text_but_in_the_test_build_that_shows_what_csp_is_for(
    issuer: Issuer, tmp_path: Path, unsafe: bool
) -> None:
    client = client_of(issuer, tmp_path, unsafe=unsafe)
    alice = issuer.browser("alice", scopes=WRITE)
    client.post("/api/photos", json=new("<script>steal()</script>"), headers=alice)
    answer = client.get("/views/photos", headers=alice)
    assert ("<script>steal()</script>" in answer.text) is unsafe
    policy = answer.headers["Content-Security-Policy"]
    assert "'unsafe-inline'" not in policy
    nonce = policy.split("'nonce-", 1)[1].split("'", 1)[0]
    assert f'<script nonce="{nonce}">' in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_look_may_be_kept_and_an_echo_counts(client: FlaskClient, issuer: Issuer) -> None:
    look = client.get("/views/look/look.css")
    assert look.status_code == 200
    look.close()
    alice = issuer.browser("alice", scopes=READ)
    assert client.post("/api/echo", data=b"x" * 100_000, headers=alice).json == {"length": 100_000}
    assert client.get("/api/whoami", headers=alice).json == {
        "sub": "alice", "scopes": ["photos.read"], "client": "test-client",
    }  # fmt: skip
    assert client.get("/api/nothing", headers=alice).status_code == 404
