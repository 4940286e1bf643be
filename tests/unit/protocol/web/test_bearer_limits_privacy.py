"""RFC 6750 §2–3, how limits are written, and what may be kept of an address and a browser."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import bearer, limits, privacy
from bartizan.protocol.web.limits import Per, Rate

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("sent", "token"),
    [
        ((), None),
        (("Bearer a.b-c_~+/=",), "a.b-c_~+/="),
        (("bearer x",), "x"),
        (("BEARER   x ",), "x"),
        (("Basic eDp5",), None),
        (("DPoP x",), None),
        (("",), None),
    ],
)
def test_the_token(sent: tuple[str, ...], token: str | None) -> None:
    assert bearer.token(sent) == token


@pytest.mark.parametrize(
    "sent",
    [
        ("Bearer",),
        ("Bearer ",),
        ("Bearer a b",),
        ("Bearer a,b",),
        ("Bearer a, Bearer b",),
        ("Bearer a", "Bearer a"),
        ("Basic x", "Bearer a"),
        ("Bearer é",),
        ("Bearer =a",),
        ("Bearer a\tb",),
    ],
)
def test_one_token_or_none(sent: tuple[str, ...]) -> None:
    with pytest.raises(Refused) as info:
        bearer.token(sent)
    assert (info.value.code, info.value.status) == ("invalid_request", 400)


def test_the_challenge() -> None:
    assert bearer.challenge("api") == 'Bearer realm="api"'
    assert bearer.challenge("api", error="insufficient_scope", scope="a b") == (
        'Bearer realm="api", error="insufficient_scope", scope="a b"'
    )
    for bad in ('a"b', "a\\b", "a\r\nb", "é"):
        with pytest.raises(ValueError, match="challenge"):
            bearer.challenge(bad)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/minute per user", Rate(100, 60, Per.USER)),
        ("30/minute", Rate(30, 60, Per.ADDRESS)),
        ("5 / 10 minutes per client", Rate(5, 600, Per.CLIENT)),
        ("1/day per address", Rate(1, 86400, Per.ADDRESS)),
        ("2/hours", Rate(2, 3600, Per.ADDRESS)),
        (" 9/second ", Rate(9, 1, Per.ADDRESS)),
    ],
)
def test_limits(text: str, rate: Rate) -> None:
    assert limits.parse(text) == rate
    assert limits.parse(str(rate)) == rate


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0/minute",
        "-1/minute",
        "1/week",
        "minute",
        "1/minute per house",
        "1/0 minutes",
        "1e9/day",
        "1/minute\nx",
        "１/minute",
    ],
)
def test_no_limits(text: str) -> None:
    with pytest.raises(ValueError, match="is no limit"):
        limits.parse(text)


def test_the_default_is_the_callers() -> None:
    assert limits.parse("10/minute", Per.USER).per is Per.USER
    assert limits.parse("10/minute per client", Per.USER).per is Per.CLIENT


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("[2001:db8::1]", "2001:db8::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("garbage", "unknown"),
        ("", "unknown"),
        ("203.0.113.7, 10.0.0.1", "unknown"),
        ("unix:", "unknown"),
    ],
)
def test_masks(address: str, network: str) -> None:
    assert privacy.mask(address) == network


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::4", "2001:db8:1:3::/64"),
        ("garbage", "unknown"),
    ],
)
def test_a_subscriber_counts_once_however_many_addresses_it_has(address: str, who: str) -> None:
    assert privacy.counted(address) == who


@given(st.ip_addresses())
def test_the_mask_hides_and_holds(address: object) -> None:
    text = str(address)
    masked = privacy.mask(text)
    assert (
        masked == "unknown"
        or (parsed := ip_address(text)) in (network := ip_network(masked))
        or parsed.version > network.version
    )
    assert masked.partition("/")[0] != text or text.endswith((".0", "::"))


@given(st.text(max_size=30))
def test_the_mask_never_gives_back_what_is_no_address(text: str) -> None:
    assert "/" in privacy.mask(text) or privacy.mask(text) == "unknown"


def test_the_hash_is_keyed_and_knows_one_address_in_two_spellings() -> None:
    assert privacy.address_hash(b"day", "::ffff:203.0.113.7") == privacy.address_hash(b"day", "203.0.113.7")
    assert privacy.address_hash(b"day", "203.0.113.7") != privacy.address_hash(b"next", "203.0.113.7")
    assert len(privacy.address_hash(b"day", "garbage")) == 32


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", "Firefox on Linux"),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/141.0.0.0 Safari/537.36 Edg/141.0",
            "Edge on Windows",
        ),
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) {WEBKIT} Version/18.0 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            f"Mozilla/5.0 (Linux; Android 15; Pixel 9) {WEBKIT} Chrome/141.0.0.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Chrome/141.0.0.0 Safari/537.36", "Chrome on macOS"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/156.0 Safari/537.36", "Chrome on Linux"),
        ("curl/8.1", "curl"),
        ("<script>alert(1)</script>", "Unknown device"),
        ("", "Unknown device"),
        (None, "Unknown device"),
    ],
)
def test_devices(agent: str | None, device: str) -> None:
    assert privacy.device(agent) == device
