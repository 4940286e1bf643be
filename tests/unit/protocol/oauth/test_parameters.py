"""OAuth 2.1 §3.1 and appendix B, attack O26: parameters are read once, strictly, in one spelling."""

from __future__ import annotations

from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.protocol.oauth.parameters import FORM, LONGEST_VALUE, Parameters, from_form, from_query
from bartizan.protocol.refusal import Refused


def test_names_and_values() -> None:
    sent = from_query(b"a=1&b=x+y%26z&c=&d&&e=%C3%BC")
    assert sent.values == {"a": "1", "b": "x y&z", "e": "ü"}
    assert sent.get("c") is None
    with pytest.raises(Refused):
        sent.get("e")
    assert sent.text("e", longest=1) == "ü"


def test_resource_alone_may_come_again() -> None:
    assert from_query(b"resource=a&resource=b").resource == ("a", "b")


@pytest.mark.parametrize(
    "raw",
    [
        b"a=1&a=1",
        b"a=1&a=",
        b"a&a=1",
        b"%61=1&a=2",
        b"unknown=1&unknown=2",
        b"a=%",
        b"a=%1",
        b"a=%g1",
        b"a=%ff",
        b"a=\xff",
        b"a=%c3",
        b"a=%ed%a0%80",
        b"a=%00",
        b"a=%0a",
        b"a=\n",
        b"a=%7f",
        b"a=%e2%80%a8",
        b"%00=1",
        b"a=" + b"x" * (LONGEST_VALUE + 1),
        b"x" * 200 + b"=1",
        b"&".join(b"p%d=1" % n for n in range(65)),
    ],
)
def test_refused_whole(raw: bytes) -> None:
    with pytest.raises(Refused) as refused:
        from_query(raw)
    assert refused.value.code == "invalid_request"


@pytest.mark.parametrize(
    "kinds",
    [[], [FORM, FORM], ["application/json"], [f"{FORM}; charset=latin-1"], ["multipart/form-data"], [f"{FORM}x"]],
)
def test_a_form_says_that_it_is_one(kinds: list[str]) -> None:
    with pytest.raises(Refused):
        from_form(kinds, b"a=1", b"")


def test_what_belongs_in_the_body_is_refused_in_the_query() -> None:
    assert from_form([f"{FORM}; charset=UTF-8"], b"a=1", b"unknown=2").values == {"a": "1"}
    for query in (b"client_secret=x", b"token=x", b"resource=x", b"client_id=a", b"%63ode=x"):
        with pytest.raises(Refused):
            from_form([FORM], b"a=1", query)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=60), max_size=8))
def test_what_is_printable_comes_through_unchanged(form: dict[str, str]) -> None:
    expected = {name: value for name, value in form.items() if value and name != "resource"}
    try:
        sent = from_query(urlencode(form, errors="replace").encode())
    except Refused:
        assert not all(text.isprintable() for pair in form.items() for text in pair)
        return
    assert sent.values == expected


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        sent = from_query(raw)
    except Refused:
        return
    assert all(value and value.isprintable() for value in sent.values.values())
    again = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in sent.values.items())
    assert from_query(again.encode()).values == sent.values


def test_too_long_for_its_field() -> None:
    with pytest.raises(Refused):
        Parameters({"state": "x" * 11}).get("state", longest=10)
    with pytest.raises(Refused):
        Parameters({}).require("state")


@given(
    st.lists(
        st.tuples(st.sampled_from(["scope", "code", "a", "resource", ""]), st.text("ab=*-_.~/: !", max_size=9)),
        max_size=5,
    )
)
def test_what_needs_no_decoding_is_read_as_if_it_were_encoded(pairs: list[tuple[str, str]]) -> None:
    plain = "&".join(f"{name}={value}" for name, value in pairs).encode()
    encoded = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs).encode()
    assert _read_or_refused(plain) == _read_or_refused(encoded)


def _read_or_refused(raw: bytes) -> object:
    try:
        return from_form([FORM], raw, b"")
    except Refused as refused:
        return refused.note
