"""Sign-up, verification, reset: GET never acts, nobody learns who has an account (flows §5)."""

from __future__ import annotations

from copy import deepcopy

import msgspec
import pytest
from tests.unit.auth.house import BFF, ISSUER, SETTINGS, USER, back
from tests.unit.pages.house import CHANGED, PASSWORD, Page, PagesHouse

DANA = {"name": "Dana Holm", "email": "dana@example.test", "password": PASSWORD}


def sign_up(house: PagesHouse, **fields: str) -> str:
    answer = house.submit("/signup", "/signup", **{**DANA, **fields})
    assert (answer.status, answer.header("location")) == (303, "/check-mail"), answer.text
    return house.get("/check-mail").text


def test_from_an_app_through_the_mailbox_back_to_the_app(house: PagesHouse) -> None:
    house.begin(BFF)
    assert "dana@example.test" in sign_up(house)
    assert len(house.tables.users) == 1, "nothing is made yet"
    link = house.mailed_path()
    before = deepcopy(vars(house.tables))
    for _ in range(2):
        page = house.page(link)
    assert vars(house.tables) == before, "opening the link changes nothing"
    assert "password" not in page.ids
    answer = house.submit(link, link)
    assert "code" in back(answer)
    (user,) = [user for user in house.tables.users.values() if user.email == DANA["email"]]
    assert (user.name, user.email_verified, user.admin) == ("Dana Holm", True, False)
    assert house.events()[-3:] == ["user.created", "user.verified", "code.issued"]


def test_the_browser_of_the_sign_up_is_known_from_then_on(house: PagesHouse) -> None:
    sign_up(house)
    link = house.mailed_path()
    assert house.submit(link, link).status == 303
    assert SETTINGS.cookies.sso.replace("sso", "seen") in house.cookies


def test_elsewhere_the_password_chosen_at_sign_up_is_asked_first(house: PagesHouse) -> None:
    sign_up(house)
    link = house.mailed_path()
    house.other_browser()
    assert "password" in house.page(link).ids
    assert house.submit(link, link).status == 400
    assert house.submit(link, link, password=CHANGED).status == 400
    assert len(house.tables.users) == 1
    assert house.submit(link, link, password=PASSWORD).header("location") == "/account"
    assert house.get("/account").status == 200


def test_guessing_that_password_is_limited(house: PagesHouse) -> None:
    sign_up(house)
    link = house.mailed_path()
    house.other_browser()
    for _ in range(10):
        house.submit(link, link, password=CHANGED)
    assert house.submit(link, link, password=PASSWORD).status == 400
    assert len(house.tables.users) == 1


def test_a_link_works_once_and_only_for_a_while(house: PagesHouse) -> None:
    sign_up(house)
    link = house.mailed_path()
    form = house.page(link).forms[link]
    assert house.send(link, form).status == 303
    assert house.send(link, form).status == 410
    assert house.get(link).status == 410
    house.other_browser()
    sign_up(house, email="late@example.test")
    late = house.mailed_path()
    house.forward(minutes=31)
    assert house.get(late).status == 410
    assert house.get("/verify/" + "A" * 64).status == 410
    assert house.get("/reset/" + late.rsplit("/", 1)[1]).status == 410, "of another kind"


def test_an_address_that_has_an_account_looks_the_same_and_is_told_by_mail(house: PagesHouse) -> None:
    unknown = "eda@example.test"
    assert len(unknown) == len(USER.email)
    new = house.submit("/signup", "/signup", **{**DANA, "email": unknown})
    new_page, new_cookies = house.get("/check-mail").text, house.other_browser()
    house.deliver()
    known = house.submit("/signup", "/signup", **{**DANA, "email": USER.email})
    known_page, known_cookies = house.get("/check-mail").text, house.cookies
    assert (new.status, new.header("location")) == (known.status, known.header("location"))
    assert _lengths(new_cookies) == _lengths(known_cookies), "nor does the length of a sealed cookie tell"
    assert Page(new_page).ids == Page(known_page).ids
    (mail,) = house.deliver()
    assert (mail.to, mail.subject) == (USER.email, "You already have an account")
    assert f"{ISSUER}/signin" in mail.text
    assert len(house.tables.users) == 1


def _lengths(cookies: dict[str, str]) -> dict[str, int]:
    return {name: len(value) for name, value in cookies.items()}


def test_the_same_link_is_sent_again(house: PagesHouse) -> None:
    sign_up(house)
    first = house.mailed_path()
    assert house.submit("/check-mail", "/check-mail").status == 303
    assert house.mailed_path() == first


def test_mails_to_one_address_are_limited_whoever_has_it(house: PagesHouse) -> None:
    for email in (DANA["email"], USER.email):
        for _ in range(5):
            sign_up(house, email=email)
        assert house.submit("/signup", "/signup", **{**DANA, "email": email}).status == 429


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("password", "short"),
        ("password", "passwordpassword"),
        ("password", "dana@example.test"),
        ("password", "aaaaaaaaaaaaaaaa"),
        ("password", "x" * 257),
        ("email", "no address"),
        ("email", "a@b\u200b"),
        ("email", "a" * 250 + "@b.example"),
        ("name", ""),
        ("name", "x" * 81),
        ("name", "line\x0bend"),
    ],
)
def test_a_fault_is_said_beside_the_field_and_what_was_typed_is_kept(house: PagesHouse, field: str, value: str) -> None:
    answer = house.submit("/signup", "/signup", **{**DANA, field: value})
    assert answer.status == 400
    page = Page(answer.text)
    wrong = {values["id"] for _, values in page.tags if values.get("aria-invalid")}
    assert wrong == {"new-password" if field == "password" else field}
    assert page.forms["/signup"]["password"] == "", "a password never goes back into a page"
    assert house.tables.links == {}


def test_sign_up_can_be_closed() -> None:
    with PagesHouse() as house:
        closed = msgspec.structs.replace(house.settings, open_sign_up=False)
    with PagesHouse(closed) as house:
        assert house.get("/signup").status == 403
        assert "/signup" not in house.get("/signin").text


def test_a_person_made_unverified_confirms_after_signing_in(house: PagesHouse) -> None:
    house.give_password(msgspec.structs.replace(USER, email_verified=False))
    assert house.enter().header("location") == "/check-mail"
    link = house.mailed_path()
    assert house.submit(link, link).header("location") == "/account"
    assert house.tables.users[USER.id].email_verified


def test_reset_ends_every_session_and_signs_nobody_in(house: PagesHouse) -> None:
    house.enter()
    house.other_browser()
    assert house.submit("/reset", "/reset", identifier=USER.email).header("location") == "/check-mail"
    link = house.mailed_path()
    house.get(link)
    assert len(house.tables.sessions) == 1
    assert house.submit(link, link, password="short").status == 400
    form = house.page(link).forms[link]
    assert house.send(link, {**form, "password": CHANGED}).header("location") == "/signin?said=password"
    assert house.tables.sessions == {}
    assert house.events()[-1] == "password.reset"
    assert house.send(link, {**form, "password": CHANGED}).status == 410
    (mail,) = house.deliver()
    assert mail.subject == "Your password was changed"
    assert house.enter().status == 400
    assert house.enter(password=CHANGED).status == 303


def test_reset_says_nothing_about_who_has_an_account(house: PagesHouse) -> None:
    pages = []
    for email in (USER.email, "ada@example.best"):
        assert house.submit("/reset", "/reset", identifier=email).header("location") == "/check-mail"
        pages.append(house.get("/check-mail").text.replace(email, "E-MAIL"))
        pages[-1] = pages[-1].replace(Page(pages[-1]).forms["/check-mail"]["csrf"], "")
        house.other_browser()
    assert pages[0] == pages[1]
    assert [mail.to for mail in house.deliver()] == [USER.email]


def test_asking_for_a_reset_does_the_same_work_for_everybody(house: PagesHouse) -> None:
    """A job more for an account that exists is a statement more before the answer: that can be timed."""
    for number, email in enumerate((USER.email, "nobody@example.test"), start=1):
        house.submit("/reset", "/reset", identifier=email)
        assert (len(house.tables.links), len(house.tables.jobs)) == (number, number)
        house.other_browser()
    house.submit("/reset", "/reset", identifier="nobody@else.example")
    before = len(house.tables.jobs)
    house.submit("/check-mail", "/check-mail")
    assert len(house.tables.jobs) == before + 1, "sent again: likewise"


def test_the_first_administrator(house: PagesHouse) -> None:
    link = house.setup_path()
    house.get(link)
    assert house.submit(link, link, name="Mika", email=USER.email, password=PASSWORD).status == 400
    answer = house.submit(link, link, name="Mika", email="mika@example.test", password=PASSWORD)
    assert answer.header("location") == "/admin"
    assert house.get("/admin").status == 200
    assert house.events()[-2:] == ["user.created", "admin.granted"]
    house.other_browser()
    assert house.get(house.setup_path()).status == 410, "there is one now"
