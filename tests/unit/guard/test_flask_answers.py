"""What the guard adds to a Flask app's answers: CORS, CSP, cache and page or JSON, on every status."""

from __future__ import annotations

import re

import pytest
from flask import Flask, Response
from tests.unit.guard.flask_bench import PRINT, Bench

from bartizan.guard.flask import Guard
from bartizan.guard.testing import CSRF, Issuer


@pytest.fixture
def bench() -> Bench:
    return Bench()


ALL = ["photos.read", "photos.write"]


@pytest.mark.parametrize("path", ["/photos", "/broken", "/open"])
@pytest.mark.parametrize("who", ["alice", None])
def test_cors_on_every_status(bench: Bench, path: str, who: str | None) -> None:
    bench.app.config["PROPAGATE_EXCEPTIONS"] = False
    sent = {} if who is None else bench.issuer.bearer(who, scopes=ALL)
    for origin, allowed in ((PRINT, True), (PRINT + "0", False), ("null", False), ("http://evil.localhost", False)):
        answer = bench.client.get(path, headers=sent | {"Origin": origin})
        found = answer.headers.get("Access-Control-Allow-Origin")
        assert found == ("*" if path == "/open" else PRINT if allowed else None), answer.status
        assert "Access-Control-Allow-Credentials" not in answer.headers
        if path != "/open":
            assert "Origin" in answer.headers.getlist("Vary")
        assert answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "same-origin"


def test_the_app_cannot_open_what_the_guard_keeps_closed(bench: Bench) -> None:
    @bench.app.after_request
    def careless(answer: Response) -> Response:
        answer.headers["Access-Control-Allow-Origin"] = "*"
        answer.headers["Access-Control-Allow-Credentials"] = "true"
        return answer

    answer = bench.client.get("/photos", headers={"Origin": "http://evil.localhost"})
    assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118 - not a dict


@pytest.mark.parametrize(
    ("path", "method", "origin", "allowed"),
    [
        ("/photos", "GET", PRINT, PRINT),
        ("/photos", "POST", PRINT, None),  # another route on the same path, which names nobody
        ("/photos", "GET", "http://evil.localhost", None),
        ("/open", "GET", "http://evil.localhost", "*"),
        ("/open", "POST", PRINT, None),
        ("/forgotten", "GET", PRINT, None),
        ("/nowhere", "GET", PRINT, None),
    ],
)
def test_preflights(bench: Bench, path: str, method: str, origin: str, allowed: str | None) -> None:
    answer = bench.client.options(path, headers={"Origin": origin, "Access-Control-Request-Method": method})
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    assert bench.ran == []


def test_options_without_preflight_is_guarded(bench: Bench) -> None:
    assert bench.client.options("/photos").status_code == 401


def test_the_nonce_is_fresh_in_each_answer_and_named_in_its_policy(bench: Bench) -> None:
    seen = set()
    for _ in range(3):
        answer = bench.client.get("/page", headers=bench.issuer.browser("alice"))
        nonces = re.findall(r'nonce="([\w-]{22})"', answer.text)
        assert len(set(nonces)) == 1
        assert answer.headers["Content-Security-Policy"].count(f"'nonce-{nonces[0]}'") == 2
        assert f'name="_csrf" value="{CSRF}"' in answer.text
        seen.add(nonces[0])
    assert len(seen) == 3
    assert "style-src 'self' https://fonts.example 'nonce-" in answer.headers["Content-Security-Policy"]
    assert "img-src 'self' http://files.localhost:8080" in answer.headers["Content-Security-Policy"]
    other = bench.client.get("/open").headers["Content-Security-Policy"]
    assert "nonce" not in other
    assert "fonts.example" not in other


def test_headers_on_404_405_and_500(bench: Bench) -> None:
    bench.app.config["PROPAGATE_EXCEPTIONS"] = False
    answers = [
        bench.client.get("/nowhere"),
        bench.client.put("/photos", headers=bench.issuer.bearer("alice", scopes=ALL)),
        bench.client.get("/broken", headers=bench.issuer.bearer("alice")),
    ]
    assert [answer.status_code for answer in answers] == [404, 405, 500]
    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "Strict-Transport-Security" not in answer.headers


def test_frameworks_no_cache_becomes_no_store(bench: Bench) -> None:
    answer = bench.client.get("/cached", headers=bench.issuer.bearer("alice"))
    assert answer.headers.getlist("Cache-Control") == ["no-store"]
    answer.close()
    assert "Cache-Control" not in bench.client.get("/open").headers


def test_a_person_gets_a_page_and_a_script_json(bench: Bench) -> None:
    page = bench.client.get("/photos", headers={"Accept": "text/html,*/*"})
    assert page.mimetype == "text/html"
    assert bench.client.get("/photos").json == {"error": "unauthorized", "error_description": "sign in first"}


def test_the_pages_come_from_the_audience_unless_said_otherwise() -> None:
    issuer = Issuer()
    app = Flask("short")
    guard = Guard(app, issuer=issuer.issuer, audience=issuer.audience, source=issuer)
    app.post("/")(guard.signed_in()(lambda: "ran"))
    headers = issuer.browser("alice")
    del headers["Sec-Fetch-Site"]  # which weighs more than Origin
    assert app.test_client().post("/", headers=headers).status_code == 200
    assert app.test_client().post("/", headers=headers | {"Origin": "http://evil.localhost"}).status_code == 403
