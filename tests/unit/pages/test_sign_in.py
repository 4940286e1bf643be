"""Sign-in: one answer for every cause of a no, limits that hold without the cache, and the way on to the app."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlencode
from uuid import UUID

import msgspec
import pytest
from tests.unit.auth.house import BFF, PRINT_SHOP, SETTINGS, USER, back
from tests.unit.pages.house import PASSWORD, Page, PagesHouse
from tests.unit.web.calling import Answer, calling

from bartizan.auth import attempts
from bartizan.auth.passwords import POOL
from bartizan.auth.signin.enter import turned
from bartizan.protocol.refusal import Unavailable
from bartizan.protocol.web.cookies import SET_COOKIE_LIMIT

WRONG = "not the password at all"


def told(text: str) -> str:
    """What a page says, without what every page has of its own: the csrf value, the address typed."""
    text = re.sub(r'name="csrf" value="[^"]*"', "", text)
    return re.sub(r"[\w.-]+@example\.test", "E-MAIL", text)


def test_the_ids_that_managers_and_tests_rely_on(house: PagesHouse) -> None:
    house.begin(BFF)
    page = house.page("/signin")
    for wanted in ("identifier", "password", "sign-in", "cancel"):
        assert page.ids.count(wanted) == 1
    fields = {values["id"]: values for _, values in page.tags if "id" in values}
    assert fields["identifier"]["autocomplete"] == "username"
    assert fields["password"]["autocomplete"] == "current-password"


def test_the_right_password_goes_on_to_the_app_with_a_code(house: PagesHouse) -> None:
    assert house.begin(BFF).header("location") == "/signin"
    answer = house.enter()
    assert answer.status == 303
    assert "code" in back(answer)
    assert house.events()[-2:] == ["signin.done", "code.issued"]
    assert all(len(cookie) < SET_COOKIE_LIMIT for cookie in answer.all("set-cookie"))


def test_without_an_app_it_goes_to_the_account_or_to_the_page_that_was_asked_for(house: PagesHouse) -> None:
    assert house.get("/account").header("location") == "/signin?next=/account"
    form = house.page("/signin?next=/admin/events").forms["/signin"]
    assert form["next"] == "/admin/events"
    answer = house.send("/signin", {**form, "identifier": USER.email, "password": PASSWORD})
    assert answer.header("location") == "/admin/events"


@pytest.mark.parametrize("lure", ["//evil.example", "https://evil.example", "/\\evil.example", "/signin", "/token", ""])
def test_next_never_leads_away(house: PagesHouse, lure: str) -> None:
    form = house.page("/signin").forms["/signin"]
    answer = house.send("/signin", {**form, "next": lure, "identifier": USER.email, "password": PASSWORD})
    assert answer.header("location") == "/account"


def test_wrong_unknown_and_locked_are_one_answer_for_the_same_work(house: PagesHouse) -> None:
    locked = msgspec.structs.replace(USER, id=UUID(int=2), email="eve@example.test", disabled=True)
    house.give_password(locked)
    answers = [
        house.enter(USER.email, WRONG),
        house.enter("nobody@example.test", WRONG),
        house.enter("eve@example.test", PASSWORD),
        house.enter("no address", WRONG),
        house.enter("a" * 250 + "\u0085@example.test", WRONG),
        house.enter(USER.email, "x" * 5000),
    ]
    assert {answer.status for answer in answers} == {400}
    assert len({told(answer.text) for answer in answers[:3]}) == 1
    assert len(house.passwords.verified) == len(answers)
    assert house.events() == ["signin.refused"] * len(answers)
    assert "That e-mail and password do not match." in answers[0].text


def test_the_answer_to_a_submit_is_announced_and_says_error_first(house: PagesHouse) -> None:
    text = house.enter(USER.email, WRONG).text
    assert "<title>Error: Sign in" in text
    notice = next(values for _, values in Page(text).tags if values.get("id") == "form-fault")
    assert (notice["role"], notice["tabindex"]) == ("alert", "-1")


@pytest.mark.parametrize("email", [USER.email, "nobody@example.test"])
@pytest.mark.parametrize("away", [False, True], ids=["cache there", "cache away"])
def test_too_many_tries_are_limited_whoever_it_is_and_wherever_the_count_is(
    house: PagesHouse, email: str, away: bool
) -> None:
    house.limits.away = away
    for _ in range(10):
        assert house.enter(email, WRONG).status == 400
    limited = house.enter(email, PASSWORD)
    assert limited.status == 429
    assert int(limited.header("retry-after") or 0) > 0
    assert "Passwords work again at" in limited.text
    assert 'id="password"' not in limited.text
    assert len(house.passwords.verified) == 10


def test_tries_from_one_network_count_together_however_many_addresses_it_has(house: PagesHouse) -> None:
    """G13: a subscriber has 2⁶⁴ IPv6 addresses."""
    form = {**house.page("/signin").forms["/signin"], "identifier": USER.email, "password": WRONG}
    for host in ("2001:db8:7:7::1", "2001:db8:7:7:2:3:4:5"):
        house.send("/signin", form, **{"x-forwarded-for": host})
    counted = {who: count for (what, who), count in house.limits.counts.items() if what == "signin.address"}
    assert counted == {"2001:db8:7:7::/64": 2}


def test_a_flood_of_tries_is_not_a_flood_of_events(house: PagesHouse) -> None:
    for _ in range(20):
        house.send("/signin", {**house.page("/signin").forms["/signin"], "identifier": USER.email, "password": WRONG})
    assert house.events().count("signin.limited") == 1


def test_invented_names_of_an_address_without_tries_are_one_event(house: PagesHouse) -> None:
    house.enter("first@example.test", WRONG)
    (address,) = [key for key in house.limits.counts if key[0] == "signin.address"]
    house.limits.counts[address] = attempts.PASSWORD_BY_ADDRESS.amount
    form = house.page("/signin").forms["/signin"]
    for number in range(5):
        named = {"identifier": f"name{number}@example.test", "password": WRONG}
        assert house.send("/signin", {**form, **named}).status == 429
    assert house.events().count("signin.limited") == 1


def test_a_stranger_locks_nobody_out_of_their_own_browser(house: PagesHouse) -> None:
    """ASVS 6.1.1: the limit must not be a weapon. New browsers wait; one that she signed in with before does not."""
    house.enter()
    del house.cookies[SETTINGS.cookies.sso]
    hers = house.other_browser()
    for _ in range(11):
        limited = house.enter(USER.email, WRONG)
    assert limited.status == 429
    house.cookies = hers
    assert house.enter().status == 303, "her own browser"
    house.other_browser()
    assert house.enter().status == 429, "what she did there forgives the stranger nothing"


def test_a_browser_seen_before_has_no_more_tries_than_others_and_for_its_person_alone(house: PagesHouse) -> None:
    house.enter()
    del house.cookies[SETTINGS.cookies.sso]
    assert [house.enter(USER.email, WRONG).status for _ in range(11)] == [400] * 10 + [429]
    house.enter("eve@example.test", WRONG)
    counted = [who for what, who in house.limits.counts if what == "signin.identifier"]
    assert [who.partition(" ")[0] for who in counted] == [USER.email, USER.email, "eve@example.test"]
    assert (counted[0], counted[2]) == (USER.email, "eve@example.test")
    seen = SETTINGS.cookies.sso.replace("sso", "seen")
    house.cookies[seen] = house.cookies[seen][:-2] + "AA"
    house.enter(USER.email, WRONG)
    assert house.limits.counts["signin.identifier", USER.email] == 2, "not ours: it counts with all others"


def test_a_success_forgives_the_tries_before(house: PagesHouse) -> None:
    for _ in range(9):
        house.enter(USER.email, WRONG)
    assert house.enter().status == 303
    house.other_browser()
    assert house.enter(USER.email, WRONG).status == 400


def test_successes_never_add_up_to_a_limit(house: PagesHouse) -> None:
    """A success forgives what came before it; alone, its own try may stay until the next one (decision 0017)."""
    seen = []
    for _ in range(12):
        house.other_browser()
        assert house.enter().status == 303
        seen.append(house.limits.counts.get(("signin.identifier", USER.email), 0))
    assert seen == [1, 0] * 6


def test_who_may_not_try_uses_up_nobodys_tries(house: PagesHouse) -> None:
    """Neither a person's from an address that has none left, nor an address' at a person that has none left."""
    person, network = ("signin.identifier", USER.email), ("signin.address", "203.0.113.7")
    for full in (person, network):
        house.limits.counts = {person: 0, network: 0, full: 300}
        answer = house.send(
            "/signin",
            {**house.page("/signin").forms["/signin"], "identifier": USER.email, "password": WRONG},
            **{"x-forwarded-for": network[1]},
        )
        assert answer.status == 429
        assert house.limits.counts == {person: 0, network: 0, full: 300, ("signin.noted", full[1]): 1}
    assert house.passwords.verified == []


def test_an_old_hash_is_made_anew(house: PagesHouse) -> None:
    stale = house.tables.hashes[USER.id].replace("t=2", "t=1")
    house.tables.hashes[USER.id] = stale

    async def always(password_hash: str | None, password: str, *, who: str = "") -> bool:
        return password_hash == stale

    house.passwords.verify = always  # type: ignore[method-assign]  # for this test
    assert house.enter().status == 303
    assert "t=2" in house.tables.hashes[USER.id]


def test_a_password_changed_while_the_old_one_was_verified_opens_nothing(house: PagesHouse) -> None:
    """A reset ends every session; one that the old password is just opening must not come after it."""
    verify = house.passwords.verify

    async def slow(password_hash: str | None, password: str, *, who: str = "") -> bool:
        matched = await verify(password_hash, password)
        house.tables.hashes[USER.id] = await house.passwords.hash("another person chose this")
        return matched

    house.passwords.verify = slow  # type: ignore[method-assign]  # for this test
    assert house.enter().status == 400
    assert (house.tables.sessions, house.events()) == ({}, ["signin.refused"])


def test_cancel_tells_the_app(house: PagesHouse) -> None:
    house.begin(BFF)
    answer = house.submit("/signin", "/cancel")
    assert back(answer)["error"] == "access_denied"


def test_inside_an_authorization_the_policy_names_where_the_form_may_lead(house: PagesHouse) -> None:
    onward = msgspec.structs.replace(PRINT_SHOP, redirect_onward=("https://onward.example",))
    house.tables.clients[PRINT_SHOP.id] = onward
    house.authorize(onward)
    policy = house.get("/signin").header("content-security-policy") or ""
    assert "form-action 'self' http://print.localhost:8080 https://onward.example" in policy
    house.other_browser()
    assert "form-action 'self';" in (house.get("/signin").header("content-security-policy") or "")


def test_nothing_without_the_form_that_this_browser_was_given(house: PagesHouse) -> None:
    form = {**house.page("/signin").forms["/signin"], "identifier": USER.email, "password": PASSWORD}
    assert house.send("/signin", {**form, "csrf": ""}).status == 403
    assert house.send("/signin", {**form, "csrf": form["csrf"][:-1] + "A"}).status == 403
    for site in ("same-site", "cross-site", "none"):
        assert house.send("/signin", form, **{"sec-fetch-site": site}).status == 403
    kept = house.other_browser()
    assert house.send("/signin", form).status == 403
    house.cookies = kept
    assert house.passwords.verified == []
    assert house.send("/signin", form).status == 303


def test_without_sec_fetch_the_origin_decides(house: PagesHouse) -> None:
    form = {**house.page("/signin").forms["/signin"], "identifier": USER.email, "password": PASSWORD}
    headers = {"accept": "text/html", "content-type": "application/x-www-form-urlencoded"}
    body = "&".join(f"{name}={value.replace(' ', '+')}" for name, value in form.items()).encode()
    for origin in ("null", "http://app.localhost:8080", "http://evil.id.localhost:8080"):
        assert house.call("POST", "/signin", headers={**headers, "origin": origin}, body=body).status == 403
    assert house.call("POST", "/signin", headers=headers, body=body).status == 403
    answer = house.call("POST", "/signin", headers={**headers, "origin": "http://id.localhost:8080"}, body=body)
    assert answer.status == 303


@pytest.mark.parametrize("when", ["before anything is looked at", "when its turn does not come"])
def test_in_a_rush_the_page_says_when_to_come_back_and_keeps_what_was_typed(
    house: PagesHouse, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turned, "PAUSE", 0.01)
    if when == "before anything is looked at":
        house.passwords.away = 7
    else:
        house.passwords.slow = True
    answer = house.enter(USER.email, PASSWORD)
    assert answer.status == 503
    assert answer.header("retry-after") == "7"
    assert "Many people are signing in. Try again in 7 seconds." in answer.text
    assert "<title>Error: Sign in" in answer.text
    fields = Page(answer.text).forms["/signin"]
    assert fields["identifier"] == USER.email
    assert PASSWORD not in answer.text
    assert house.passwords.verified == []
    assert (house.limits.counts == {}) is (when == "before anything is looked at"), "a try is one that was looked at"


def test_who_does_not_wait_gets_a_page_a_second_and_no_more_than_some_wait_for_one(
    house: PagesHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turned, "PAUSE", 0.2)
    monkeypatch.setattr(turned, "MOST", 3)
    form = {**house.page("/signin").forms["/signin"], "identifier": USER.email, "password": PASSWORD}
    headers = {"cookie": "; ".join(f"{name}={value}" for name, value in house.cookies.items())}
    headers |= {"accept": "text/html", "content-type": "application/x-www-form-urlencoded"}
    headers |= {"sec-fetch-site": "same-origin"}
    house.passwords.away = 7

    async def herd() -> list[tuple[Answer, float]]:
        loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()

        async def one() -> tuple[Answer, float]:
            answer = await calling(house.app, "POST", "/signin", headers=headers, body=urlencode(form).encode())
            return answer, loop.time() - began

        return await asyncio.gather(*(one() for _ in range(5)))

    for _ in range(2):  # who has had his page makes room for another
        told = house.loop.run_until_complete(herd())
        assert [(answer.status, answer.header("retry-after")) for answer, _ in told] == [(503, "7")] * 5
        pages = [seconds for answer, seconds in told if "<form" in answer.text]
        plain = [seconds for answer, seconds in told if "<form" not in answer.text]
        assert (len(pages), len(plain)) == (3, 2)
        assert min(pages) >= 0.19
        assert max(plain) < min(pages)
        assert all(PASSWORD not in answer.text for answer, _ in told)


def test_in_a_rush_an_old_hash_does_until_the_next_time(house: PagesHouse) -> None:
    stale = house.tables.hashes[USER.id].replace("t=2", "t=1")
    house.tables.hashes[USER.id] = stale

    async def always(password_hash: str | None, password: str, *, who: str = "") -> bool:
        return password_hash == stale

    async def never(password: str) -> str:
        raise Unavailable(POOL, 2)

    house.passwords.verify = always  # type: ignore[method-assign]  # for this test
    house.passwords.hash = never  # type: ignore[method-assign]  # as above
    assert house.enter().status == 303
    assert house.tables.hashes[USER.id] == stale
