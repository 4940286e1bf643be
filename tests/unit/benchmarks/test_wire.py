"""HTTP as the generator reads it: whole answers by their length, and nothing guessed."""

from __future__ import annotations

import pytest
from benchmarks.wire import Answer, Unreadable, basic, form, read, request

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_a_part_is_not_an_answer(length: int) -> None:
    assert read(WHOLE[:length]) is None


def test_a_whole_answer_and_its_length() -> None:
    found = read(WHOLE + b"HTTP/1.1 ")
    assert found is not None
    assert (found[0].status, found[0].body, found[1]) == (200, b"hello", len(WHOLE))


def test_an_answer_without_a_body() -> None:
    found = read(b"HTTP/1.1 204 No Content\r\nx-request-id: 1\r\n\r\n")
    assert found is not None
    assert (found[0].status, found[0].body) == (204, b"")


def test_a_chunked_answer_is_refused_not_misread() -> None:
    with pytest.raises(Unreadable):
        read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


def test_headers_cookies_and_members() -> None:
    head = b"HTTP/1.1 303 See Other\r\nlocation: /x?code=1\r\nset-cookie: a=1; Path=/\r\nset-cookie: b=2; Secure"
    answer = Answer(303, head, b'{"access_token":"abc","refresh_token":"bzr_x"}')
    assert answer.header(b"location") == b"/x?code=1"
    assert answer.header(b"retry-after") is None
    assert answer.cookies() == {"a": "1", "b": "2"}
    assert answer.text(b"refresh_token") == b"bzr_x"
    assert answer.text(b"id_token") is None


def test_a_request_says_how_long_its_body_is() -> None:
    assert request("POST", "/token", {"host": "id"}, b"a=b") == (
        b"POST /token HTTP/1.1\r\nhost: id\r\ncontent-length: 3\r\n\r\na=b"
    )
    assert request("GET", "/jwks", {"host": "id"}) == b"GET /jwks HTTP/1.1\r\nhost: id\r\n\r\n"
    assert b"content-length: 0\r\n" in request("POST", "/bff/refresh", {})


def test_forms_and_credentials_are_encoded() -> None:
    assert form({"a": "b c&d"}) == b"a=b+c%26d"
    assert basic("a:b", "c") == "Basic YSUzQWI6Yw=="
