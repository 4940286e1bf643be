"""Log lines: one format, no secrets, no full address, nothing that a terminal would obey."""

from __future__ import annotations

import io
import json
import logging
import unicodedata
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from bartizan.monitoring import logs

BIDI_MARKS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    out = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.configure("auth", out)
    yield out
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_every_line_has_the_same_head(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger().info("signin.done", user="u1")
    logging.getLogger("uvicorn.error").warning("odd %s", "thing")
    first, second = lines(stream)
    assert list(first) == ["time", "level", "server", "request_id", "event", "user"]
    assert first | {"time": ""} == {
        "time": "", "level": "info", "server": "auth", "request_id": "r1", "event": "signin.done", "user": "u1",
    }  # fmt: skip
    assert (second["event"], second["logger"], second["message"]) == ("library", "uvicorn.error", "odd thing")


def test_an_exception_is_one_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        structlog.get_logger().exception("defect")
    (line,) = lines(stream)
    assert "ValueError: two\nlines" in str(line["exception"])


@pytest.mark.parametrize(
    "key",
    ["password", "client_secret", "access_token", "Cookie", "authorization", "code_verifier", "csrf", "totp_seed"],
)
def test_a_secret_is_known_by_its_key(key: str) -> None:
    assert logs.clean(key, "hunter2 and more") == logs.KEPT_OUT


@pytest.mark.parametrize(
    "text",
    [
        "bzr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJl",
        "GET /x?token=eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1In0.c2ln",
    ],
)
def test_a_secret_is_known_by_its_shape(text: str) -> None:
    cleaned = str(logs.clean("note", text))
    assert logs.KEPT_OUT in cleaned
    assert "eyJ" not in cleaned
    assert "AAAA" not in cleaned


def test_codes_of_ours_are_words_and_stay() -> None:
    assert logs.clean("code", "invalid_grant") == "invalid_grant"
    assert logs.clean("code", "Zm9vYmFyYmF6cXV4") == logs.KEPT_OUT
    assert logs.clean("exit_code", 1) == 1


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("from 203.0.113.77 port 1", "from 203.0.113.0/24 port 1"),
        ("('198.51.100.9', 443)", "('198.51.100.0/24', 443)"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("127.0.0.1:5432 away", "127.0.0.1:5432 away"),
        ("at 12:30:45, version 1.2.3", "at 12:30:45, version 1.2.3"),
        ("PostgreSQL 18.4", "PostgreSQL 18.4"),
    ],
)
def test_addresses_are_masked_wherever_they_stand(text: str, kept: str) -> None:
    assert logs.clean("message", text) == kept


@given(st.text())
def test_no_text_starts_a_line_or_moves_the_cursor(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    line = logs._Line("auth")(None, "info", {"event": text})
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(character) for character in line} & BIDI_MARKS
    assert json.loads(line)["server"] == "auth"
