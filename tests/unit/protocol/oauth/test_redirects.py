"""OAuth 2.1 §2.3, attacks O1, O3, O23, O32 and R1 to R7: an answer goes to a registered address, or nowhere."""

from __future__ import annotations

import pytest

from bartizan.protocol.oauth import answers, redirects
from bartizan.protocol.oauth.redirects import CheckedRedirect
from bartizan.protocol.refusal import Refused

GOOD = "https://shop.example/cb"

MUTANTS = [
    "https://shop.example/cb/",
    "https://shop.example/cb/x",
    "https://shop.example/cbx",
    "https://shop.example/CB",
    "https://shop.example/cb?",
    "https://shop.example/cb?x=1",
    "https://shop.example/cb#",
    "https://shop.example/cb#x",
    "https://shop.example/cb;x",
    "https://shop.example/cb/..;/x",
    "https://shop.example/cb/%2e%2e/x",
    "https://shop.example/cb/../cb",
    "https://shop.example/./cb",
    "https://shop.example//cb",
    "https://shop.example/%63b",
    "https://shop.example/cb%2f",
    "https://shop.example/cb%00",
    "https://shop.example/cb%0d%0aLocation:x",
    "https://shop.example/cb ",
    " https://shop.example/cb",
    "https://shop.example\\cb",
    "https:\\\\shop.example\\cb",
    "https://shop.example./cb",
    "https://shop.example:443/cb",
    "https://shop.example:8443/cb",
    "https://SHOP.example/cb",
    "HTTPS://shop.example/cb",
    "http://shop.example/cb",
    "https:shop.example/cb",
    "https:/shop.example/cb",
    "//shop.example/cb",
    "/cb",
    "https://evil.example/cb",
    "https://shop.example.evil.example/cb",
    "https://evil.shop.example/cb",
    "https://shopaexample/cb",
    "https://shop.example@evil.example/cb",
    "https://shop.example@@evil.example/cb",
    "https://shop.example%40evil.example/cb",
    "https://shop.example:x@evil.example/cb",
    "https://user@shop.example/cb",
    "https://evil.example#shop.example/cb",
    "https://evil.example?shop.example/cb",
    "https://shop。example/cb",
    "https://ѕhop.example/cb",
    "https://xn--hop-eld.example/cb",
    "javascript:alert(1)//https://shop.example/cb",
    "data:text/html,x",
    "",
]


@pytest.mark.parametrize("sent", MUTANTS)
def test_no_mutant_passes(sent: str) -> None:
    for native in (False, True):
        with pytest.raises(Refused) as refused:
            redirects.check(sent, (GOOD,), native=native)
        assert refused.value.code == "invalid_request"


def test_the_exact_string_passes() -> None:
    assert redirects.check(GOOD, ("https://other.example", GOOD), native=False) == CheckedRedirect(GOOD, sent=True)


def test_left_out_means_the_only_one() -> None:
    assert redirects.check(None, (GOOD,), native=False) == CheckedRedirect(GOOD, sent=False)
    for registered in ((), (GOOD, GOOD + "2")):
        with pytest.raises(Refused):
            redirects.check(None, registered, native=False)


@pytest.mark.parametrize(
    ("sent", "registered"),
    [
        ("http://127.0.0.1:50000/cb", "http://127.0.0.1/cb"),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:8000/cb"),
        ("http://127.0.0.1:65535/cb?a=1", "http://127.0.0.1/cb?a=1"),
        ("http://[::1]:50000/cb", "http://[::1]/cb"),
        ("http://127.0.0.1:50000", "http://127.0.0.1"),
        ("com.example.phone:/cb", "com.example.phone:/cb"),
    ],
)
def test_the_loopback_port_of_a_native_app_may_vary(sent: str, registered: str) -> None:
    assert redirects.check(sent, (registered,), native=True).uri == sent
    if sent != registered:
        with pytest.raises(Refused):
            redirects.check(sent, (registered,), native=False)


@pytest.mark.parametrize(
    "sent",
    [
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:080/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:+1/cb",
        "http://127.0.0.1:١/cb",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1:80.evil.example/cb",
        "http://127.0.0.1:80/cb/",
        "http://127.0.0.1:80/other",
        "http://127.0.0.1:80/cb?x",
        "http://localhost:80/cb",
        "http://127.0.0.2:80/cb",
        "https://127.0.0.1:80/cb",
        "http://[::1]:80/cb",
    ],
)
def test_nothing_but_the_port_may_vary(sent: str) -> None:
    with pytest.raises(Refused):
        redirects.check(sent, ("http://127.0.0.1/cb",), native=True)


@pytest.mark.parametrize(
    "uri",
    ["https://a.example/cb", "https://a.example", "http://app.localhost:8080/bff/callback", "http://127.0.0.1:5/cb"],
)
def test_registrable(uri: str) -> None:
    assert redirects.registrable(uri, native=False) is None


def test_a_native_scheme_has_a_dot() -> None:
    assert redirects.registrable("com.example.app:/cb", native=True) is None
    assert redirects.registrable("com.example.app:/cb", native=False)
    assert redirects.registrable("myapp:/cb", native=True)


@pytest.mark.parametrize(
    "uri",
    [
        "http://a.example/cb",
        "http://localhost.evil.example/cb",
        "https://a.example/cb#x",
        "https://a.example/cb?code=1",
        "https://a.example/cb?state",
        "https://u@a.example/cb",
        "https://a@@b/cb",
        "https:///cb",
        "https://*.example/cb",
        "https://a.example/*",
        "https://a.example/ü",
        "https://a.example/\tcb",
        "JaVaScRiPt:alert(1)",
        "javascript:alert(1)",
        "data:text/html,x",
        "HTTPS://a.example/cb",
        "https://a.example:x/cb",
        "https://[::1/cb",
        "*",
        "",
    ],
)
def test_not_registrable(uri: str) -> None:
    assert redirects.registrable(uri, native=False)


def test_the_answer_keeps_the_query_that_was_registered() -> None:
    redirect = CheckedRedirect("https://shop.example/cb?shop=1", sent=True)
    location = answers.granted(redirect, code="c", state="a b&c=d", issuer="https://id.example")
    assert location == "https://shop.example/cb?shop=1&code=c&state=a+b%26c%3Dd&iss=https%3A%2F%2Fid.example"
