"""Flows §4: origins compared exactly; `return_to` never leaves the origin, whoever resolves it."""

from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import origins
from bartizan.protocol.web.origins import parse, return_to, same_site

APP = "http://app.localhost:8080"


@pytest.mark.parametrize(
    ("text", "browser"),
    [
        ("http://app.localhost:8080", "http://app.localhost:8080"),
        ("https://app.example.com", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://x:80", "http://x"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_origins_are_read_and_written_as_browsers_do(text: str, browser: str) -> None:
    assert str(parse(text)) == browser


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "*",
        "https://*",
        "https://*.example.com",
        "https://a.com/",
        "https://a.com/x",
        "https://a.com?x",
        "https://a.com#x",
        "https://u@a.com",
        "https://u:p@a.com",
        "HTTPS://a.com",
        "https://A.com",
        "ftp://a.com",
        "//a.com",
        "a.com",
        "https://",
        "https://a.com:",
        "https://a.com:0",
        "https://a.com:65536",
        "https://a.com:x",
        "https://a.com:0443",
        "https://a b.com",
        "https://a.com\n",
        "https://bücher.example",
        "https://a..com",
        "https://.a.com",
        "https://-a.com",
        "http://[::1",
        "http://[::01]",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - urllib words some of these itself
        parse(text)


def test_local_names() -> None:
    local = ("http://app.localhost", "http://localhost:1", "http://127.0.0.1", "http://127.9.9.9", "http://[::1]")
    assert all(parse(text).local for text in local)
    assert not any(parse(text).local for text in ("https://localhost.example.com", "https://a.com", "http://10.0.0.1"))


def test_sites() -> None:
    assert same_site(parse("https://app.example.com"), parse("https://id.example.com"))
    assert not same_site(parse("http://app.example.com"), parse("https://app.example.com"))
    assert not same_site(parse("https://example.com"), parse("https://example.org"))
    assert not same_site(parse("http://10.0.0.1"), parse("http://11.0.0.1"))


@pytest.mark.parametrize(
    "raw", ["/", "/photos", "/photos?q=//e&r=\\x", "/a/b/../c", "/x?next=https://e.test", "/a%20b", "/%7Ealice"]
)
def test_paths_of_the_site_pass_unchanged(raw: str) -> None:
    assert return_to(raw) == raw


MUTANTS = [
    "",
    "e.test",
    "//e.test",
    "//.",
    "//..",
    "//../e.test",
    "/%2f.",
    "/%2f../e.test",
    "/..//.",
    "///e.test",
    "////e.test",
    "/\\e.test",
    "\\/e.test",
    "\\\\e.test",
    "/\\/e.test",
    "https://e.test",
    "https:/e.test",
    "https:e.test",
    "javascript:alert(1)",
    "data:text/html,x",
    "?x",
    "#x",
    ".",
    "..",
    "/\t/e.test",
    "/\n/e.test",
    "/\r\n/e.test",
    "\t//e.test",
    " //e.test",
    " /a",
    "/a b",
    "/\x00/e.test",
    "/a\x7f",
    "/a\r\nSet-Cookie: x=y",
    "/%09/e.test",
    "/%0a/e.test",
    "/%0d%0aSet-Cookie:x",
    "/%2f/e.test",
    "/%2Fe.test",
    "/%5ce.test",
    "/%5c%5ce.test",
    "/%255ce.test",
    "/%252fe.test",
    "/.//e.test",
    "/./%2fe.test",
    "/..//e.test",
    "/a/..//e.test",
    "/%2e//e.test",
    "/%2e%2e//e.test",
    "/a/%2e%2e//e.test",
    "/.%09//e.test",
    "／／e.test",
    "/é",
    "/" + "a" * 9000,
]


@pytest.mark.parametrize("raw", MUTANTS)
def test_open_redirects_are_refused(raw: str) -> None:
    with pytest.raises(Refused) as info:
        return_to(raw)
    assert info.value.tell == "return_to is not a path of this site"


def browser_resolves(location: str) -> str:
    """The origin at which a browser arrives: WHATWG URL drops tabs and line ends and takes `\\` for `/`."""
    cleaned = "".join(c for c in location.strip("".join(map(chr, range(33)))) if c not in "\t\r\n")
    head, mark, query = cleaned.partition("?")
    parts = urlsplit(urljoin(APP + "/bff/renew", head.replace("\\", "/") + mark + query))
    return f"{parts.scheme}://{parts.netloc}"


ALPHABET = st.sampled_from(
    ["/", "\\", ".", "..", "//", "%2f", "%5c", "%09", "%2e", "%25", "e.test", "@", ":", "?", "#", "\t", "a", "é", " "]
)


@given(
    st.one_of(
        st.text(max_size=30),
        st.lists(ALPHABET, max_size=8).map("".join),
        st.lists(ALPHABET, max_size=8).map(lambda p: "/" + "".join(p)),
    )
)
@example("/%2525252f/e.test")
def test_what_passes_stays_on_the_origin(raw: str) -> None:
    try:
        passed = return_to(raw)
    except Refused:
        return
    for form in (passed, unquote(passed), unquote(unquote(passed))):
        assert browser_resolves(form) == APP


@given(st.text(max_size=40))
def test_parsing_an_origin_is_stable(text: str) -> None:
    try:
        once = parse(text)
    except ValueError:
        return
    assert origins.parse(str(once)) == once
