"""Flows §3: the origin test as a table, and the comparison."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import csrf

APP = "http://app.localhost:8080"

ROWS = [
    # Sec-Fetch-Site, Origin, passes
    ("same-origin", APP, True),
    ("same-origin", None, True),
    ("same-origin", "null", True),  # a page with no-referrer: the browser still vouches
    ("same-site", APP, False),  # a sibling subdomain
    ("cross-site", APP, False),
    ("none", None, False),  # typed address: no unsafe method comes from there
    ("", APP, False),
    ("Same-Origin", APP, False),
    ("same-origin, same-origin", APP, False),
    (None, APP, True),
    (None, "null", False),
    (None, None, False),
    (None, "", False),
    (None, APP + "/", False),
    (None, APP.upper(), False),
    (None, "http://app.localhost", False),
    (None, "http://app.localhost:80800", False),
    (None, "http://evil.app.localhost:8080", False),
    (None, "https://app.localhost:8080", False),
    (None, f"{APP}, {APP}", False),
]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "post", "X", ""])
@pytest.mark.parametrize(("site", "origin", "passes"), ROWS)
def test_unsafe_methods(method: str, site: str | None, origin: str | None, passes: bool) -> None:
    if passes:
        csrf.origin_test(method, site, origin, APP)
        return
    with pytest.raises(Refused) as info:
        csrf.origin_test(method, site, origin, APP)
    assert (info.value.code, info.value.status) == ("csrf", 403)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(("site", "origin", "passes"), ROWS)
def test_safe_methods_pass(method: str, site: str | None, origin: str | None, passes: bool) -> None:
    csrf.origin_test(method, site, origin, APP)


def test_a_websocket_needs_the_very_origin() -> None:
    csrf.handshake_test(APP, APP)
    for origin in (None, "null", "http://sibling.localhost:8080", APP + "/", ""):
        with pytest.raises(Refused):
            csrf.handshake_test(origin, APP)


@given(st.text(min_size=1), st.text())
def test_only_equal_values_match(first: str, second: str) -> None:
    assert csrf.matches(first, first)
    assert csrf.matches(first, second) == (first == second)


@pytest.mark.parametrize(
    ("a", "b"), [(None, None), ("", ""), (None, ""), ("a", None), (None, "a"), ("", "a"), ("a", "A")]
)
def test_nothing_matches_nothing(a: str | None, b: str | None) -> None:
    assert not csrf.matches(a, b)
