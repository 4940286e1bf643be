"""The guard around a real Flask app, the gateway bypassed: what is refused never reaches the handler."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask
from flask.views import MethodView
from tests.unit.guard.flask_bench import PRINT, Bench

from bartizan.guard.flask import Guard
from bartizan.guard.testing import CSRF, Issuer


@pytest.fixture
def bench() -> Bench:
    return Bench()


ALL = ["photos.read", "photos.write"]


def test_a_bearer_token_reads(bench: Bench) -> None:
    answer = bench.client.get("/photos", headers=bench.issuer.bearer("alice", scopes=ALL))
    assert (answer.status_code, answer.json) == (200, {"sub": "alice", "client": "test-client"})
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 200),
        ({"X-CSRF-Token": None}, 403),
        ({"X-CSRF-Token": ""}, 403),
        ({"X-CSRF-Token": "wrong"}, 403),
        ({"X-CSRF-Token": CSRF + "x"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": None}, 200),  # an older browser: Origin is the app's
        ({"Sec-Fetch-Site": None, "Origin": "null"}, 403),
        ({"Sec-Fetch-Site": None, "Origin": None}, 403),
        ({"Sec-Fetch-Site": None, "Origin": "http://evil.localhost:8080"}, 403),
    ],
)
def test_a_post_by_cookie_token_with_the_gateway_bypassed(
    bench: Bench, changed: dict[str, str | None], status: int
) -> None:
    sent = bench.issuer.browser("alice", scopes=ALL) | changed
    answer = bench.client.post("/photos", headers={name: value for name, value in sent.items() if value is not None})
    assert answer.status_code == status
    assert bench.ran == (["upload"] if status == 200 else [])
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_no_cookie_is_authority(bench: Bench) -> None:
    token = bench.issuer.token("alice", scopes=ALL)
    for name in ("__Host-bz8080-at", "access_token", "session", "Authorization"):
        bench.client.set_cookie(name, token, domain="localhost")
    assert bench.client.get("/photos").status_code == 401
    assert bench.client.get("/photos", query_string={"access_token": token}).status_code == 401
    assert bench.client.get("/photos", headers={"X-Bartizan-User": "alice"}).status_code == 401
    assert bench.ran == []


def test_a_bearer_token_posts_without_csrf(bench: Bench) -> None:
    sent = bench.issuer.bearer("alice", scopes=ALL) | {"Sec-Fetch-Site": "cross-site", "Origin": PRINT}
    assert bench.client.post("/photos", headers=sent).status_code == 200


def form_headers(bench: Bench, **more: str) -> dict[str, str]:
    headers = bench.issuer.browser("alice", scopes=ALL) | more
    del headers["X-CSRF-Token"]
    return headers


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"title": "x", "_csrf": CSRF}, 200),
        ({"title": "x"}, 403),
        ({"title": "x", "_csrf": "wrong"}, 403),
        ({"title": "x", "_csrf": [CSRF, CSRF]}, 403),
        ({"title": "x" * 2000, "_csrf": CSRF}, 413),
    ],
)
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_is_compared_by_the_guard(bench: Bench, data: dict[str, Any], status: int, kind: str) -> None:
    answer = bench.client.post("/form", data=data, headers=form_headers(bench), content_type=kind)
    assert answer.status_code == status
    assert bench.ran == (["form"] if status == 200 else [])


def test_a_form_route_takes_the_header_too_and_no_other_body(bench: Bench) -> None:
    sent = bench.issuer.browser("alice", scopes=ALL)
    assert bench.client.post("/form", data={"title": "x" * 2000}, headers=sent).status_code == 200
    for kind in ("text/plain", "application/json", ""):
        answer = bench.client.post("/form", data=f"_csrf={CSRF}", headers=form_headers(bench), content_type=kind)
        assert answer.status_code == 403


def test_a_beacon_passes_by_the_origin_test_alone(bench: Bench) -> None:
    assert bench.client.post("/beacon", headers=form_headers(bench)).status_code == 200
    assert (
        bench.client.post("/beacon", headers=form_headers(bench, **{"Sec-Fetch-Site": "cross-site"})).status_code == 403
    )


def test_ended_and_expired_tokens_are_refused_from_the_warm_cache_too(bench: Bench) -> None:
    sent = bench.issuer.bearer("alice", scopes=ALL, gid="family-1")
    other = bench.issuer.bearer("alice", scopes=ALL, gid="family-2")
    assert bench.client.get("/photos", headers=sent).status_code == 200
    bench.issuer.end("family-1")
    answer = bench.client.get("/photos", headers=sent)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="api", error="invalid_token"')
    assert bench.client.get("/photos", headers=other).status_code == 200
    bench.now += 306
    assert bench.client.get("/photos", headers=other).status_code == 401
    assert bench.ran == ["photos", "photos"]


def test_an_unseen_feed_is_503_and_public_routes_still_answer(bench: Bench) -> None:
    sent = bench.issuer.bearer("alice", scopes=ALL)
    assert bench.client.get("/photos", headers=sent).status_code == 200
    bench.issuer.away = True
    answer = bench.client.get("/photos", headers=sent | {"Origin": PRINT})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["Access-Control-Allow-Origin"] == PRINT
    assert bench.client.get("/open").status_code == 200
    assert bench.client.get("/photos").status_code == 401  # without a token nothing has to be asked


@pytest.mark.parametrize(
    ("headers", "status", "challenge"),
    [
        ({}, 401, 'Bearer realm="api", scope="photos.read"'),
        ({"Authorization": "Basic eDp5"}, 401, 'Bearer realm="api", scope="photos.read"'),
        ({"Authorization": "Bearer a b"}, 400, 'error="invalid_request"'),
        ({"Authorization": "Bearer x.y.z"}, 401, 'error="invalid_token"'),
        ({"Authorization": "Bearer " + "A" * 20_000}, 401, 'error="invalid_token"'),
    ],
)
def test_challenges(bench: Bench, headers: dict[str, str], status: int, challenge: str) -> None:
    answer = bench.client.get("/photos", headers=headers)
    assert answer.status_code == status
    assert challenge in answer.headers["WWW-Authenticate"]
    assert ("error=" in answer.headers["WWW-Authenticate"]) == (challenge.startswith("error"))


def test_too_few_rights_are_403_with_the_scope_that_helps(bench: Bench) -> None:
    answer = bench.client.post("/photos", headers=bench.issuer.bearer("printer", scopes=["photos.read"]))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert 'scope="photos.write"' in answer.headers["WWW-Authenticate"]
    assert bench.ran == []


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "http://id.localhost:8081"},
        {"aud": ["http://files.localhost:8080"]},
        {"typ": "JWT"},
        {"exp": 1},
        {"nbf": 9e9},
        {"csrf": 7},
        {"scope": ["photos.read"]},
    ],
)
def test_tokens_for_others(bench: Bench, changed: dict[str, Any]) -> None:
    token = bench.issuer.token("alice", **{"scopes": ALL, **changed})
    assert bench.client.get("/photos", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert bench.ran == []


def test_another_issuers_key_is_refused(bench: Bench) -> None:
    stranger = Issuer(clock=lambda: bench.now)
    assert bench.client.get("/photos", headers=stranger.bearer("alice", scopes=ALL)).status_code == 401


def test_what_declares_nothing_is_refused_and_named(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = bench.client.get("/forgotten", headers=bench.issuer.bearer("alice", scopes=ALL))
    assert (answer.status_code, bench.ran) == (403, [])
    assert "forgotten, static" in caplog.text
    assert bench.guard.undeclared() == ["forgotten", "static"]
    declared = {row.name: str(row.policy) for row in bench.guard.routes()}
    assert declared["upload"] == "scopes photos.write, csrf token"
    assert declared["limited"] == "signed-in, csrf token, limit 2/minute per user"
    assert bench.client.get("/static/x.js").status_code == 403


def test_optional_takes_nobody_but_no_bad_token(bench: Bench) -> None:
    assert 'name="_csrf" value=""' in bench.client.get("/page").text
    assert bench.client.get("/page", headers={"Authorization": "Bearer x.y.z"}).status_code == 401
    assert bench.client.get("/open", headers=bench.issuer.bearer("alice")).text == "nobody"


def test_limits_count_per_user(bench: Bench) -> None:
    alice, bob = bench.issuer.bearer("alice"), bench.issuer.bearer("bob")
    assert [bench.client.get("/limited", headers=alice).status_code for _ in range(3)] == [200, 200, 429]
    assert bench.client.get("/limited", headers=bench.issuer.bearer("alice")).headers["Retry-After"]
    assert bench.client.get("/limited", headers=bob).status_code == 200


def test_the_check_runs_before_hooks_that_were_there_first() -> None:
    issuer, ran = Issuer(), []
    app = Flask("early")

    @app.before_request
    def early() -> None:
        ran.append("hook")

    guard = Guard(app, issuer=issuer.issuer, audience=issuer.audience, app_origin=issuer.app_origin, source=issuer)

    class Things(MethodView):
        decorators = [guard.scopes("a")]  # noqa: RUF012 - Flask's way

        def get(self) -> str:
            ran.append("view")
            return "ok"

    app.add_url_rule("/things", view_func=Things.as_view("things"))
    client = app.test_client()
    assert client.get("/things").status_code == 401
    assert ran == []
    assert client.get("/things", headers=issuer.bearer("x", scopes=["a"])).status_code == 200
    assert ran == ["hook", "view"]


def test_two_declarations_of_one_route_fail_at_import() -> None:
    issuer = Issuer()
    guard = Guard(issuer=issuer.issuer, audience=issuer.audience, app_origin=issuer.app_origin, source=issuer)

    def view() -> str:
        return ""

    guard.public()(view)
    with pytest.raises(ValueError, match="twice"):
        guard.signed_in()(view)
    with pytest.raises(ValueError, match="needs a user"):
        guard.limit("1/minute")(view)
    with pytest.raises(ValueError, match="at least one"):
        guard.scopes()
    with pytest.raises(ValueError, match="cors"):
        guard.cors()
    with pytest.raises(ValueError, match="undoes"):
        guard.csp({"script-src": ["'unsafe-inline'"]})
    with pytest.raises(ValueError, match="both"):
        guard.signed_in(csrf="both")
