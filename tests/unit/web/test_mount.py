"""What every server of ours does with a request before and after the endpoint (design §8)."""

from __future__ import annotations

from uuid import UUID

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp
from tests.unit.web.calling import call

from bartizan.model.route import Route, Who
from bartizan.protocol.refusal import Refused, Replayed, Unavailable
from bartizan.web import body
from bartizan.web.mount import mount

PAGE = {"accept": "text/html"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def echo(request: Request) -> Response:
    fields = await body.form(request)
    return Response(repr(sorted(fields.one.items())))


async def named(request: Request) -> Response:
    return Response(str(request.path_params))


async def refuse(request: Request) -> Response:
    raise Refused("invalid_client", "The client did not prove itself.", "secret differs", status=401)


async def replayed(request: Request) -> Response:
    raise Replayed(UUID(int=1), "a code came back")


async def away(request: Request) -> Response:
    raise Unavailable("the database", 3)


async def broken(request: Request) -> Response:
    raise RuntimeError("the password is hunter2")


def row(path: str, endpoint: object, *methods: str, who: Who = Who.ANYONE, form: bool = False) -> Route:
    return Route(methods=methods or ("GET",), path=path, endpoint=endpoint, who=who, form=form, body_limit=100)  # type: ignore[arg-type]  # any callable


@pytest.fixture(scope="module")
def app() -> ASGIApp:
    rows = (
        row("/echo", echo, "POST"),
        row("/echo", named, "GET"),
        row("/users/{user_id}/end", named),
        row("/rest/{rest:path}", named),
        row("/token", refuse, "POST", who=Who.CLIENT),
        row("/page", refuse, form=True),
        row("/replayed", replayed, "POST", who=Who.CLIENT),
        row("/away", away),
        row("/broken", broken),
    )
    return mount(rows, server="test")


def test_fields_arrive_once_each(app: ASGIApp) -> None:
    assert (
        call(app, "POST", "/echo", headers=FORM, body=b"a=1&b=%C3%A9&c=").text == "[('a', '1'), ('b', 'é'), ('c', '')]"
    )


@pytest.mark.parametrize(
    "raw", [b"a=1&a=2", b"a=%ff", b"a=\xff", b"a=%00", b"&".join(b"f%d=" % n for n in range(20)) * 9]
)
def test_a_malformed_form_is_refused(app: ASGIApp, raw: bytes) -> None:
    answer = call(app, "POST", "/echo", headers=FORM, body=raw[:99])
    assert answer.status == 400
    assert answer.json["error"] == "invalid_request"


@pytest.mark.parametrize(
    "kind",
    ["", "application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded; charset=utf-16"],
)
def test_another_content_type_is_415(app: ASGIApp, kind: str) -> None:
    assert call(app, "POST", "/echo", headers={"content-type": kind}, body=b"a=1").status == 415


def test_too_large_is_413_announced_or_not(app: ASGIApp) -> None:
    assert call(app, "POST", "/echo", headers={**FORM, "content-length": "101"}, body=b"a=1").status == 413
    assert call(app, "POST", "/echo", headers=FORM, body=[b"a=", b"x" * 60, b"x" * 60]).status == 413


def test_paths(app: ASGIApp) -> None:
    assert call(app, "GET", "/users/7/end").text == "{'user_id': '7'}"
    assert call(app, "GET", "/users/7/8/end").status == 404
    assert call(app, "GET", "/rest/a/b").text == "{'rest': 'a/b'}"
    assert call(app, "HEAD", "/away").status == 503


def test_two_rows_for_one_address_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two rows"):
        mount((row("/a", echo), row("/a", named)), server="test")


def test_unknown_path_and_method(app: ASGIApp) -> None:
    missing = call(app, "GET", "/nothing", headers=PAGE)
    assert missing.status == 404
    assert "There is no page" in missing.text
    wrong = call(app, "DELETE", "/echo")
    assert (wrong.status, wrong.header("allow")) == (405, "GET, HEAD, POST")


def test_a_refusal_is_json_for_a_protocol_endpoint_and_a_page_for_a_form(app: ASGIApp) -> None:
    answer = call(app, "POST", "/token", headers=PAGE)
    assert answer.json == {"error": "invalid_client", "error_description": "The client did not prove itself."}
    assert (answer.header("www-authenticate") or "").startswith("Basic ")
    page = call(app, "GET", "/page")
    assert (page.header("content-type") or "").startswith("text/html")
    for told in (answer, page):
        assert "secret differs" not in told.text


def test_replayed_and_unavailable(app: ASGIApp) -> None:
    assert call(app, "POST", "/replayed").json["error"] == "invalid_grant"
    answer = call(app, "GET", "/away")
    assert (answer.status, answer.header("retry-after")) == (503, "3")
    assert "database" not in answer.text


def test_a_defect_says_nothing_but_its_request_id(app: ASGIApp) -> None:
    answer = call(app, "GET", "/broken", headers={**PAGE, "x-request-id": "req-1"})
    assert answer.status == 500
    assert "hunter2" not in answer.text
    assert "req-1" in answer.text
    assert answer.header("x-request-id") == "req-1"


def test_a_request_id_that_is_none_is_replaced(app: ASGIApp) -> None:
    given = call(app, "GET", "/away", headers={"x-request-id": "<script>"}).header("x-request-id") or ""
    assert len(given) == 24


def test_every_answer_carries_the_headers(app: ASGIApp) -> None:
    for answer in (call(app, "GET", "/nothing"), call(app, "GET", "/users/7/end"), call(app, "GET", "/broken")):
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("cache-control") == "no-store"
        assert answer.header("referrer-policy") != "no-referrer"
        assert "default-src 'none'" in (answer.header("content-security-policy") or "")
        assert len(answer.all("content-security-policy")) == 1
