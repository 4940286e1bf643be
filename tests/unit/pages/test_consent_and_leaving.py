"""Consent, choosing an account, signing out."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import msgspec
import pytest
from tests.unit.auth.house import APP, BFF, PRINT_SHOP, USER, back
from tests.unit.pages.house import Page, PagesHouse

CHECKED = msgspec.structs.replace(PRINT_SHOP, checked_at=USER.created_at, operator="Paper & Light Ltd")


@pytest.fixture
def shop(house: PagesHouse) -> PagesHouse:
    """Signed in, before the consent page of the print shop, which somebody here has checked."""
    house.tables.clients[CHECKED.id] = CHECKED
    house.enter()
    assert house.begin(CHECKED).header("location") == "/consent"
    return house


def test_who_asks_what_it_can_and_cannot_and_how_long(shop: PagesHouse) -> None:
    text = shop.get("/consent").text
    for words in ("Print shop asks for access", "print.localhost:8080", "Paper &amp; Light Ltd", "See your photos"):
        assert words in text
    page = Page(text)
    assert page.forms["/consent"]["until"] == "30d"
    for wanted in ("consent-allow", "consent-deny"):
        assert page.ids.count(wanted) == 1


@pytest.mark.parametrize(
    ("until", "length"), [("1h", timedelta(hours=1)), ("30d", timedelta(days=30)), ("ended", None)]
)
def test_allowed_for_as_long_as_the_person_said(shop: PagesHouse, until: str, length: timedelta | None) -> None:
    answer = shop.submit("/consent", "/consent", decision="allow", until=until)
    assert "code" in back(answer)
    consent = shop.tables.consents[USER.id, CHECKED.id]
    assert consent.until == (shop.clock() + length if length else None)
    assert consent.scopes == CHECKED.scopes
    assert "consent.granted" in shop.events()


def test_denied_leaves_nothing(shop: PagesHouse) -> None:
    answer = shop.submit("/consent", "/consent", decision="deny", until="30d")
    assert back(answer)["error"] == "access_denied"
    assert shop.tables.consents == {}


@pytest.mark.parametrize("form", [{"decision": ""}, {"decision": "allow", "until": "for ever"}, {"decision": "maybe"}])
def test_an_incomplete_form_allows_nothing(shop: PagesHouse, form: dict[str, str]) -> None:
    assert shop.submit("/consent", "/consent", **form).status == 400
    assert shop.tables.consents == {}


def test_an_unchecked_app_is_warned_of_and_never_gets_the_longest_term(house: PagesHouse) -> None:
    house.enter()
    house.begin(PRINT_SHOP)
    text = house.get("/consent").text
    assert "has checked this app" in text
    assert text.index("has checked this app") < text.index("rights-title")
    assert Page(text).forms["/consent"]["until"] == "1h"
    assert house.submit("/consent", "/consent", decision="allow", until="ended").status == 400
    assert house.tables.consents == {}


def test_a_page_about_one_request_never_answers_for_another(shop: PagesHouse) -> None:
    form = {**shop.page("/consent").forms["/consent"], "decision": "allow"}
    shop.begin(CHECKED, scope="openid")
    assert shop.send("/consent", form).status == 403
    assert shop.tables.consents == {}


def test_a_scope_that_nobody_described_is_shown_by_its_name(house: PagesHouse) -> None:
    odd = msgspec.structs.replace(CHECKED, scopes=(*CHECKED.scopes, "odd.power"))
    house.tables.clients[odd.id] = odd
    house.enter()
    house.begin(odd)
    assert "Use “odd.power”" in house.get("/consent").text


def test_choosing_an_account(house: PagesHouse) -> None:
    house.enter()
    house.forward(minutes=1)
    assert house.begin(BFF, prompt="select_account").header("location") == "/select-account"
    page = house.page("/select-account")
    assert ("account-1" in page.ids, "account-other" in page.ids) == (True, True)
    assert house.submit("/select-account", "/select-account", account="7").status == 400
    assert house.submit("/select-account", "/select-account", account="other").header("location") == "/signin?other=1"
    assert house.get("/signin?other=1").status == 200
    assert "code" in back(house.submit("/select-account", "/select-account", account="1"))


def test_signing_out_asks_ends_and_says_so(house: PagesHouse) -> None:
    house.tokens(BFF)
    page = house.get("/logout").text
    assert "Snapshots" in page
    assert len(house.tables.sessions) == 1, "GET asks only"
    assert house.submit("/logout", "/sign-out", decision="stay").header("location") == "/account"
    answer = house.submit("/logout", "/sign-out", decision="end")
    assert answer.header("location") == "/signed-out"
    assert answer.header("clear-site-data") == '"cache", "storage"'
    assert (house.tables.sessions, len(house.tables.ended)) == ({}, 1)
    assert "You are signed out" in house.get("/signed-out").text
    assert house.events()[-1] == "session.signed_out"


def test_the_way_back_is_taken_only_where_it_is_registered(house: PagesHouse) -> None:
    house.enter()
    wish = {"client_id": BFF.id, "post_logout_redirect_uri": f"{APP}/", "state": "s"}
    path = f"/logout?{urlencode(wish)}"
    policy = house.get(path).header("content-security-policy") or ""
    assert f"form-action 'self' {APP};" in policy
    assert house.submit(path, "/sign-out", decision="end").header("location") == f"{APP}/?state=s"
    lure = urlencode({**wish, "post_logout_redirect_uri": "https://evil.example/"})
    assert house.get(f"/logout?{lure}").status == 400


def test_an_app_that_proves_itself_needs_no_question(house: PagesHouse) -> None:
    hint = str(house.tokens(BFF)["id_token"])
    query = urlencode({"id_token_hint": hint, "post_logout_redirect_uri": f"{APP}/"})
    assert house.get(f"/logout?{query}").header("location") == f"{APP}/"
    assert house.tables.sessions == {}


def test_a_posted_wish_becomes_the_page(house: PagesHouse) -> None:
    house.enter()
    answer = house.send("/logout", {"client_id": BFF.id, "other": "x"}, **{"sec-fetch-site": "cross-site"})
    assert answer.header("location") == f"/logout?client_id={BFF.id}"
    assert len(house.tables.sessions) == 1
