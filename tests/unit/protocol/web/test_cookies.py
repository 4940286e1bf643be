"""Flows §1: names, the two of one name, and the attributes that are always there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import cookies


def test_names_carry_the_port_on_local_names_only() -> None:
    local, real = cookies.names("http://app.localhost:8080"), cookies.names("https://app.example.com:8443")
    assert (local.at, local.login_prefix, local.sso) == (
        "__Host-bz8080-at",
        "__Host-bz8080-login-",
        "__Host-bz8080-sso",
    )
    assert (real.at, real.rt, real.csrf, real.hop, real.ix) == (
        "__Host-bz-at",
        "__Host-bz-rt",
        "__Host-bz-csrf",
        "__Host-bz-hop",
        "__Host-bz-ix",
    )
    assert all(name.startswith(cookies.OURS) for name in (*vars_of(local), *vars_of(real)))


def vars_of(names: cookies.CookieNames) -> list[str]:
    return [getattr(names, field) for field in names.__struct_fields__]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, {}),
        ("", {}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=1;b=2;;  ;c", {"a": "1", "b": "2"}),
        ("=x; a=", {"a": ""}),
        (' a = "1" ', {"a": '"1"'}),
        ("a=b=c", {"a": "b=c"}),
        ("a=1; a=2", {"a": "1"}),  # the app's own cookies are the app's business
        ("x=__Host-bz-at=evil; __Host-bz-at=mine", {"x": "__Host-bz-at=evil", "__Host-bz-at": "mine"}),
    ],
)
def test_parse(header: str | None, found: dict[str, str]) -> None:
    assert cookies.parse(header) == found


@pytest.mark.parametrize(
    "header",
    ["__Host-bz-at=1; __Host-bz-at=1", "__Host-bz-at=1; x=2;__Host-bz-at =3", "__Host-bz8080-rt=;__Host-bz8080-rt=a"],
)
def test_two_of_one_name_of_ours_are_400(header: str) -> None:
    with pytest.raises(Refused) as info:
        cookies.parse(header)
    assert info.value.status == 400


@given(st.text(max_size=80))
def test_parse_takes_anything(header: str) -> None:
    try:
        assert all(name for name in cookies.parse(header))
    except Refused:
        assert header.count(cookies.OURS) >= 2


def test_set_cookie() -> None:
    text = cookies.set_cookie("__Host-bz-csrf", "v", max_age=60, http_only=False, same_site="Lax")
    assert text == "__Host-bz-csrf=v; Path=/; Secure; SameSite=Lax; Max-Age=60"
    assert cookies.set_cookie("__Host-bz-at", "v") == "__Host-bz-at=v; Path=/; Secure; SameSite=Strict; HttpOnly"
    assert (
        cookies.delete_cookie("__Host-bz-at") == "__Host-bz-at=; Path=/; Secure; SameSite=Strict; Max-Age=0; HttpOnly"
    )


@pytest.mark.parametrize("value", ["a;b", "a b", "a,b", 'a"b', "a\\b", "a\nb", "é", "x" * 4090])
def test_values_that_browsers_would_not_keep(value: str) -> None:
    with pytest.raises(ValueError, match="__Host-bz-at"):
        cookies.set_cookie("__Host-bz-at", value)


def test_only_host_cookies_are_written() -> None:
    with pytest.raises(ValueError, match="bad name"):
        cookies.set_cookie("session", "v")
