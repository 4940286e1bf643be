"""`/bff/csp-report`: both formats become an event and a count, in bounds; nothing in them is believed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from tests.unit.frontend.house import Browser, Few

from bartizan.frontend.reports import BODY_LIMIT, parse
from bartizan.protocol.refusal import Refused

OLD = {
    "csp-report": {
        "document-uri": "http://app.localhost:8080/photos?token=secret#x",
        "violated-directive": "script-src-elem",
        "effective-directive": "script-src-elem",
        "blocked-uri": "inline",
        "source-file": "http://app.localhost:8080/photos?token=secret",
        "line-number": 7,
        "disposition": "enforce",
        "script-sample": "alert(document.cookie)",
    }
}
NEW = [
    {
        "type": "csp-violation",
        "age": 1,
        "url": "https://app.example/photos",
        "user_agent": "x",
        "body": {
            "documentURL": "https://user:pass@app.example/photos?token=secret",
            "effectiveDirective": "img-src",
            "blockedURL": "https://evil.example/pixel?u=ada@example.test",
            "disposition": "report",
            "lineNumber": 3,
        },
    },
    {"type": "deprecation", "body": {"id": "x"}},
]


def report(browser: Browser, value: object, kind: str = "application/csp-report") -> int:
    return browser.call("POST", "/bff/csp-report", {"content-type": kind}, json.encode(value)).status


def events(browser: Browser) -> list[Any]:
    return [event for event in browser.auth.tables.events if event.code == "csp.report"]


def test_the_old_format() -> None:
    with Browser() as browser:
        assert report(browser, OLD) == 204
        (event,) = events(browser)
        assert event.detail == {
            "directive": "script-src-elem",
            "blocked": "inline",
            "page": "http://app.localhost:8080/photos",
            "source": "http://app.localhost:8080/photos",
            "line": "7",
            "disposition": "enforce",
        }
        assert browser.meter.counted["csp_reports", (("directive", "script-src-elem"),)] == 1


def test_the_reporting_api() -> None:
    with Browser() as browser:
        assert report(browser, NEW, "application/reports+json; charset=utf-8") == 204
        (event,) = events(browser)
        assert event.detail == {
            "directive": "img-src",
            "blocked": "https://evil.example",
            "page": "https://app.example/photos",
            "line": "3",
            "disposition": "report",
        }


def test_a_flood_is_counted_and_not_recorded() -> None:
    with Browser(limits=Few(3)) as browser:
        for _ in range(5):
            assert report(browser, OLD) == 204
        assert report(browser, NEW[:1] * 50, "application/reports+json") == 204
        assert len(events(browser)) == 3
        assert browser.meter.counted["csp_reports", (("directive", "img-src"),)] == 10


def test_an_invented_directive_makes_no_series() -> None:
    with Browser() as browser:
        assert report(browser, {"csp-report": {"effective-directive": "evil-src"}}) == 204
        assert browser.meter.counted["csp_reports", (("directive", "other"),)] == 1


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/plain", json.encode(OLD), 415),
        ("", b"", 415),
        ("application/csp-report", b"", 400),
        ("application/csp-report", b"{", 400),
        ("application/csp-report", b"\xff\xfe", 400),
        ("application/csp-report", b"[]", 400),
        ("application/csp-report", b'{"csp-report": 1}', 400),
        ("application/csp-report", b"[" * 20_000, 400),
        ("application/csp-report", b" " * (BODY_LIMIT + 1), 413),
    ],
)
def test_what_is_no_report(kind: str, body: bytes, status: int) -> None:
    with Browser() as browser:
        assert browser.call("POST", "/bff/csp-report", {"content-type": kind}, body).status == status
        assert events(browser) == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["csp-report", "body", "type", "effectiveDirective", "blockedURL", "lineNumber", "x"])
            | st.text(max_size=9),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(anything | st.fixed_dictionaries({"csp-report": anything}), st.sampled_from(["blockedURL", "documentURL"]))
def test_rubbish_is_cut_or_refused(value: object, name: str) -> None:
    for sent in (value, [{"type": "csp-violation", "body": {name: str(value), "sourceFile": str(value)}}]):
        try:
            details = parse("application/reports+json", json.encode(sent))
        except Refused:
            continue
        for detail in details:
            for text in detail.values():
                assert isinstance(text, str)
                assert len(text) <= 200
                assert text.isprintable() or not any(character < " " for character in text)
