"""Bad input (the issue's paragraph): every endpoint of the BFF, driven with rubbish, refuses, changes nothing, tells
nothing, and never sends a browser to another origin."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.unit.auth.house import ISSUER
from tests.unit.frontend.house import AT, CLICKED, CSRF, FORM, FROM_ELSEWHERE, HOP, LOGIN, RT, SCRIPT, TYPED, Browser
from tests.unit.web.calling import Answer

from bartizan.frontend import returning
from bartizan.frontend.login import MOST_AT_ONCE
from bartizan.protocol.refusal import Refused

ENDPOINTS = [
    ("GET", "/bff/login"),
    ("GET", "/bff/callback"),
    ("GET", "/bff/session"),
    ("POST", "/bff/refresh"),
    ("GET", "/bff/renew"),
    ("POST", "/bff/renew"),
    ("GET", "/bff/logout"),
    ("POST", "/bff/logout"),
    ("POST", "/bff/csp-report"),
    ("GET", "/bff/client.js"),
]
ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
names = st.sampled_from(["return_to", "hop", "again", "state", "code", "iss", "error", "mode", "_csrf", "unknown"])
values = st.one_of(
    ascii_text,
    st.text(max_size=20).map(lambda text: quote(text, errors="replace")),
    st.sampled_from(["", "1", "%00", "%ff", "%0d%0aSet-Cookie:a=b", "a" * 9000, "/", "//evil.example", quote(ISSUER)]),
    st.sampled_from(["/\\evil.example", "https://evil.example", "/%2f%2fevil.example", "1" + "A" * 22, "<script>"]),
)
queries = st.lists(st.tuples(names, values).map("=".join), max_size=5).map("&".join)
bodies = st.one_of(st.binary(max_size=60), queries.map(lambda text: text.encode()), st.just(b"x" * 40_000))
kinds = st.sampled_from(
    [FORM, "", "application/json", "application/csp-report", "multipart/form-data", FORM + "; charset=x"]
)
contexts = st.sampled_from([SCRIPT, CLICKED, TYPED, FROM_ELSEWHERE, {}, {"origin": "https://evil.example"}])
headers = st.fixed_dictionaries({}, optional={"x-csrf-token": values, "origin": values, "accept": ascii_text})
cookies = st.dictionaries(
    st.sampled_from([AT, RT, CSRF, HOP, LOGIN + "1" + "A" * 22, LOGIN, "theirs", "__Host-bz8080-unknown"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=";"), max_size=60),
    max_size=4,
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as opened:
        opened.sign_in()
        yield opened


@given(st.sampled_from(ENDPOINTS), queries, contexts, headers, cookies, kinds, bodies)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(("GET", "/bff/callback"), "state=1&state=2", FROM_ELSEWHERE, {}, {}, "", b"")
@example(("GET", "/bff/renew"), "hop=2&return_to=/", CLICKED, {}, {}, "", b"")
@example(("POST", "/bff/logout"), "", CLICKED, {}, {}, FORM, b"_csrf=a&_csrf=b")
def test_rubbish_changes_nothing(
    browser: Browser,
    endpoint: tuple[str, str],
    query: str,
    context: dict[str, str],
    more: dict[str, str],
    brought: dict[str, str],
    kind: str,
    body: bytes,
) -> None:
    before = kept(browser)
    cookie = "; ".join(f"{name}={value}" for name, value in brought.items())
    sent = {**context, **more, "content-type": kind, "cookie": cookie}
    method, path = endpoint
    saved = dict(browser.cookies)
    answer = browser.call(method, f"{path}?{query}", sent, body if method == "POST" else b"")
    browser.cookies = saved
    assert answer.status < 500, answer.text
    assert kept(browser) == before
    assert stays(answer)
    assert not [line for line in answer.all("set-cookie") if line.startswith((f"{AT}=e", f"{RT}=d"))]
    assert "Traceback" not in answer.text
    assert not [name for name, _ in answer.headers if name.startswith("access-control-")]
    if answer.status >= 400:
        assert answer.header("cache-control") == "no-store"
        told(answer)


def kept(browser: Browser) -> tuple[object, ...]:
    tables = browser.auth.tables
    return deepcopy((tables.sessions, tables.families, tables.ended, tables.codes))


def stays(answer: Answer) -> bool:
    """Where it leads: a path of this origin, or the sign-in pages."""
    places = [answer.header("location"), (answer.header("refresh") or "").removeprefix("0; url=")]
    return all(
        place.startswith((f"{ISSUER}/authorize?", f"{ISSUER}/logout?"))
        or (place.startswith("/") and not place.startswith(("//", "/\\")) and not urlsplit(place).netloc)
        for place in places
        if place
    )


def told(answer: Answer) -> None:
    """A page with a code, or the two members of RFC 6749 §5.2."""
    if (answer.header("content-type") or "").startswith("application/json"):
        assert set(answer.json) == {"error", "error_description"}
    else:
        assert "error-code" in answer.text


@given(st.binary(max_size=60) | queries.map(str.encode))
def test_return_to_is_refused_or_stays(query: bytes) -> None:
    try:
        asked = returning.read(query, flags=("hop",))
    except Refused:
        return
    else:
        assert asked.return_to.startswith("/")
        assert not asked.return_to.startswith(("//", "/\\"))
        assert query.endswith(asked.return_to.encode()) or asked.return_to == "/"


@pytest.mark.parametrize(
    "query", ["hop=1&hop=1&return_to=/", "hop=&return_to=/", "x=1&return_to=/", "return_to=/&", "&"]
)
def test_before_return_to_only_what_is_known(query: str) -> None:
    with Browser() as browser:
        answer = browser.call("GET", f"/bff/renew?{query}", CLICKED)
        assert answer.status == (303 if query == "return_to=/&" else 400)  # taken raw: the path is "/&"


def test_every_row_is_one_of_these() -> None:
    from bartizan.frontend.routes import routes

    with Browser() as browser:
        rows = {(method, row.path) for row in routes(browser.settings, browser.ports) for method in row.methods}
        unsafe = {row for row in rows if row[0] != "GET"} - {(m, "/bff/renew") for m in ("PUT", "PATCH", "DELETE")}
        assert unsafe == {endpoint for endpoint in ENDPOINTS if endpoint[0] != "GET"}
        assert MOST_AT_ONCE == 8
        for method, path in rows:
            assert path.startswith("/bff/"), method
