"""The hidden field: of this browser, for this subject, under any key of the ring."""

from __future__ import annotations

import os

import pytest
from starlette.requests import Request

from bartizan.protocol.refusal import Refused
from bartizan.protocol.secrets import KeyRing, Ring
from bartizan.web.formcsrf import Forms

ORIGIN = "https://id.example"
COOKIE = "__Host-bz-form"


def ring(*ids: str) -> Ring:
    return KeyRing(tuple((key_id, key_id.encode() * 4) for key_id in ids)).purpose("pages")


def request(cookie: str = "", *, site: str | None = "same-origin", origin: str | None = None) -> Request:
    headers = [(b"cookie", cookie.encode())] if cookie else []
    headers += [(b"sec-fetch-site", site.encode())] if site else []
    headers += [(b"origin", origin.encode())] if origin else []
    return Request({"type": "http", "method": "POST", "headers": headers})


def given(forms: Forms, subject: str = "") -> tuple[str, str]:
    """A new browser's cookie and field."""
    fresh = request()
    field = forms.field(fresh, subject)
    cookie = (forms.set_cookie(fresh) or "").partition(";")[0]
    assert cookie.startswith(COOKIE + "=")
    return cookie, field


@pytest.fixture
def forms() -> Forms:
    return Forms(ring("keykey01"), COOKIE, ORIGIN, os.urandom)


def test_the_form_of_this_browser_passes(forms: Forms) -> None:
    cookie, field = given(forms, "session 1")
    forms.check(request(cookie), field, "session 1")
    known = request(cookie)
    assert forms.field(known, "session 1") == field
    assert forms.set_cookie(known) is None, "a browser that has the cookie keeps it"


def test_two_fields_of_one_answer_share_the_cookie(forms: Forms) -> None:
    fresh = request()
    assert forms.field(fresh, "a") != forms.field(fresh, "b")
    cookie = (forms.set_cookie(fresh) or "").partition(";")[0]
    forms.check(request(cookie), forms.field(fresh, "a"), "a")


@pytest.mark.parametrize("wrong", ["subject", "browser", "field", "no cookie", "no field", "rubbish cookie"])
def test_anything_else_is_refused(forms: Forms, wrong: str) -> None:
    cookie, field = given(forms, "one")
    other_cookie, other_field = given(forms, "one")
    tries = {
        "subject": (cookie, field, "two"),
        "browser": (other_cookie, field, "one"),
        "field": (cookie, other_field, "one"),
        "no cookie": ("", field, "one"),
        "no field": (cookie, "", "one"),
        "rubbish cookie": (COOKIE + "=x", field, "one"),
    }
    sent, value, subject = tries[wrong]
    with pytest.raises(Refused) as refused:
        forms.check(request(sent), value, subject)
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("site", "origin", "passes"),
    [
        ("same-origin", None, True),
        ("same-origin", "https://evil.example", True),  # Sec-Fetch-Site is the browser's word
        ("same-site", ORIGIN, False),
        ("cross-site", ORIGIN, False),
        ("none", None, False),
        (None, ORIGIN, True),
        (None, "null", False),
        (None, None, False),
        (None, ORIGIN + ":8443", False),
    ],
)
def test_the_origin_test_stands_before_it(forms: Forms, site: str | None, origin: str | None, passes: bool) -> None:
    cookie, field = given(forms)
    sent = request(cookie, site=site, origin=origin)
    if passes:
        forms.check(sent, field)
    else:
        with pytest.raises(Refused):
            forms.check(sent, field)


def test_a_form_outlives_a_rotation_of_the_ring() -> None:
    cookie, field = given(Forms(ring("keykey01"), COOKIE, ORIGIN, os.urandom))
    Forms(ring("keykey02", "keykey01"), COOKIE, ORIGIN, os.urandom).check(request(cookie), field)
    with pytest.raises(Refused):
        Forms(ring("keykey02"), COOKIE, ORIGIN, os.urandom).check(request(cookie), field)


def test_the_cookie_can_be_planted_by_nobody(forms: Forms) -> None:
    fresh = request()
    forms.field(fresh)
    cookie = forms.set_cookie(fresh) or ""
    for word in ("__Host-", "Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert word in cookie
    assert "Domain" not in cookie
