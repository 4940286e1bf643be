"""Bad input (the issue's paragraph): every form, driven with rubbish, refuses, changes nothing, tells nothing."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.unit.auth.house import BFF, FORM, PRINT_SHOP, SETTINGS, USER
from tests.unit.pages.house import PagesHouse
from tests.unit.web.calling import Answer

from bartizan.auth import desk
from bartizan.auth.pages import routes
from bartizan.model.route import Who

FIELDS = ["csrf", "identifier", "password", "name", "email", "current", "new", "end_others", "decision", "until"]
FIELDS += ["account", "next", "id_token_hint", "client_id", "post_logout_redirect_uri", "state", "unknown"]
values = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", "\0", "\r\n", "../..", "a" * 300, "é" * 300, "\u202e", "end", "allow", "yes", "1", "-1", "other"]
    ),
    st.sampled_from(
        [USER.email, "//evil.example", "https://evil.example", "'; DROP TABLE users", "{{7*7}}", "<script>"]
    ),
)
pairs = st.lists(st.tuples(st.sampled_from(FIELDS), values), max_size=8)
bodies = st.one_of(
    st.binary(max_size=100),
    pairs.map(lambda some: urlencode(some, errors="replace").encode()),
    pairs.map(lambda some: "&".join(f"{name}={value}" for name, value in some).encode("utf-8", "replace")),
)
kinds = st.sampled_from([FORM, FORM, FORM, "application/json", "text/plain", FORM + "; charset=utf-7", ""])
segments = st.sampled_from([str(USER.id), BFF.id, "x", "A" * 64, "..%2f", "%00", "é", "0" * 300])


@pytest.fixture(scope="module")
def house() -> Iterator[PagesHouse]:
    """Signed in as an administrator, in the middle of an authorization."""
    with PagesHouse() as made:
        made.give_password(msgspec.structs.replace(USER, admin=True))
        made.enter()
        made.begin(PRINT_SHOP)
        made.page("/consent")
        yield made


def _paths() -> list[str]:
    with PagesHouse() as house:
        rows = routes(desk.build(house.ports, SETTINGS))
        return [row.path for row in rows if row.form]


PATHS = _paths()
few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def filled(path: str, segment: str) -> str:
    for name in ("user_id", "client_id", "session_id", "token"):
        path = path.replace("{" + name + "}", segment)
    return path


def state(house: PagesHouse) -> dict[str, object]:
    return {name: deepcopy(value) for name, value in vars(house.tables).items()}


def check_told(answer: Answer) -> None:
    assert answer.status in (303, 400, 403, 404, 409, 410, 413, 415, 429), answer.text
    assert "Traceback" not in answer.text
    assert "<script>" not in answer.text
    assert "evil.example" not in (answer.header("location") or "")


@pytest.mark.parametrize("path", PATHS)
@few
@given(body=bodies, kind=kinds, segment=segments)
def test_rubbish_without_our_form_changes_nothing(
    house: PagesHouse, path: str, body: bytes, kind: str, segment: str
) -> None:
    before = state(house)
    headers = {"accept": "text/html", "content-type": kind, "sec-fetch-site": "same-origin"}
    answer = house.call("POST", filled(path, segment), headers=headers, body=body)
    assert answer.status in (400, 403, 404, 415), answer.text
    check_told(answer)
    assert state(house) == before


@pytest.mark.parametrize("path", ["/signin", "/signup", "/reset", "/cancel", "/check-mail"])
@few
@given(fields=st.dictionaries(st.sampled_from(FIELDS[1:]), values, max_size=6))
@example(fields={"identifier": "a@b", "password": "\0"})
def test_rubbish_in_the_forms_of_strangers(path: str, fields: dict[str, str]) -> None:
    with PagesHouse() as house:
        house.submit("/reset", "/reset", identifier="somebody@example.test")
        at = "/signin" if path == "/cancel" else path
        house.begin(PRINT_SHOP)
        form = house.page(at).forms[path]
        answer = house.call(
            "POST",
            path,
            headers={"accept": "text/html", "content-type": FORM, "sec-fetch-site": "same-origin"},
            body=urlencode({**form, **fields}, errors="replace").encode(),
        )
        check_told(answer)
        assert list(house.tables.users) == [USER.id]


@pytest.mark.parametrize("path", ["/account/profile", "/account/password", "/consent", "/sign-out", "/select-account"])
@few
@given(fields=st.dictionaries(st.sampled_from(FIELDS[1:]), values, max_size=6))
def test_rubbish_in_the_forms_of_people(path: str, fields: dict[str, str]) -> None:
    at = {"/account/profile": "/account", "/account/password": "/account", "/sign-out": "/logout"}.get(path, path)
    with PagesHouse() as house:
        house.enter()
        house.begin(PRINT_SHOP)
        form = house.page(at).forms[path]
        answer = house.call(
            "POST",
            path,
            headers={"accept": "text/html", "content-type": FORM, "sec-fetch-site": "same-origin"},
            body=urlencode({**form, **fields}, errors="replace").encode(),
        )
        check_told(answer)
        assert house.tables.users[USER.id].email == USER.email
        assert house.tables.hashes[USER.id]


@few
@given(query=st.one_of(st.text(max_size=60), pairs.map(lambda some: urlencode(some, errors="replace"))))
@pytest.mark.parametrize("path", ["/signin", "/logout", "/admin/events", "/admin/users", "/account", "/check-mail"])
def test_rubbish_in_the_query(house: PagesHouse, path: str, query: str) -> None:
    before = state(house)
    raw = query.encode("utf-8", "replace").decode("latin-1")
    answer = house.call("GET", f"{path}?{raw}", headers={"accept": "text/html", "sec-fetch-site": "cross-site"})
    assert answer.status in (200, 303, 400), answer.text
    assert "Traceback" not in answer.text
    assert state(house) == before


@pytest.mark.parametrize("path", PATHS)
def test_too_much_is_refused(house: PagesHouse, path: str) -> None:
    headers = {"accept": "text/html", "content-type": FORM, "sec-fetch-site": "same-origin"}
    body = b"name=" + b"a" * (64 * 1024)
    assert house.call("POST", filled(path, "x"), headers=headers, body=body).status == 413


def test_every_form_says_so_in_its_row() -> None:
    """`form` makes the refusal a page, and the gateway's and the attack suite's expectations."""
    with PagesHouse() as house:
        for row in routes(desk.build(house.ports, SETTINGS)):
            assert row.form == ("POST" in row.methods) or row.path == "/logout", row.path
            assert row.who is not Who.TOKEN
