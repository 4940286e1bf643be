"""The account page and the console: who may, what each form does, and what nobody may do there."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest
from tests.unit.auth.house import BFF, PRINT_SHOP, USER, House
from tests.unit.pages.house import CHANGED, PASSWORD, Page, PagesHouse

from bartizan.auth import desk
from bartizan.auth.pages import routes
from bartizan.model.health import Overview, ServerHealth
from bartizan.model.route import Route, Who

BOB = msgspec.structs.replace(USER, id=UUID(int=2), email="bob@example.test", name="Bob Okafor")


@pytest.fixture
def account(house: PagesHouse) -> PagesHouse:
    """Signed in, with another session elsewhere and the print shop allowed."""
    house.enter()
    house.other_browser()
    house.enter()
    house.consent(PRINT_SHOP)
    house.give_password(BOB)
    return house


@pytest.fixture
def console(house: PagesHouse) -> PagesHouse:
    house.give_password(msgspec.structs.replace(USER, admin=True))
    house.give_password(BOB)
    house.enter()
    return house


def all_rows(house: House) -> list[Route]:
    return list(routes(desk.build(house.ports, house.settings)))


def test_every_page_for_somebody_sends_others_to_sign_in_or_away(house: PagesHouse) -> None:
    for row in all_rows(house):
        path = row.path.replace("{user_id}", str(USER.id)).replace("{client_id}", BFF.id)
        path = path.replace("{session_id}", str(USER.id)).replace("{token}", "x" * 40)
        if not path.startswith(("/account", "/admin")):
            continue
        assert row.who in (Who.SESSION, Who.ADMIN), path
        answer = house.get(path) if "GET" in row.methods else house.send(path, {})
        assert (answer.status, (answer.header("location") or "")[:13]) == (303, "/signin?next="), path


def test_a_form_of_another_site_is_refused_and_not_sent_to_sign_in(house: PagesHouse) -> None:
    for row in all_rows(house):
        if row.form and row.who in (Who.SESSION, Who.ADMIN):
            answer = house.send(row.path, {}, **{"sec-fetch-site": "cross-site"})
            assert answer.status == 403, row.path


def test_the_console_is_for_administrators(house: PagesHouse) -> None:
    house.enter()
    for row in all_rows(house):
        if row.who is not Who.ADMIN:
            continue
        path = row.path.replace("{user_id}", str(USER.id)).replace("{client_id}", BFF.id)
        answer = house.get(path) if "GET" in row.methods else house.send(path, {})
        assert answer.status == 403, path


def test_every_form_of_somebody_is_bound_to_the_session(account: PagesHouse) -> None:
    mine = account.page("/account").forms
    kept = account.other_browser()
    account.enter(BOB.email)
    account.cookies = {**kept, **{name: value for name, value in account.cookies.items() if name.endswith("-sso")}}
    assert account.send("/account/profile", {**mine["/account/profile"], "name": "Mallory"}).status == 403
    assert account.tables.users[BOB.id].name == "Bob Okafor"


def test_the_name(account: PagesHouse) -> None:
    assert (
        account.submit("/account", "/account/profile", name="Ada L.").header("location") == "/account?said=name#profile"
    )
    assert account.tables.users[USER.id].name == "Ada L."
    assert "Your name is changed." in account.get("/account?said=name").text
    assert account.submit("/account", "/account/profile", name="").status == 400


def test_a_new_address_counts_once_its_link_is_used_by_its_person(account: PagesHouse) -> None:
    account.submit("/account", "/account/profile", email="ada@new.example", password=PASSWORD)
    assert account.tables.users[USER.id].email == USER.email
    link = account.mailed_path()
    account.get(link)
    mine = account.other_browser()
    assert account.get(link).header("location") == f"/signin?next={link}"
    account.enter(BOB.email)
    assert account.get(link).status == 410
    account.cookies = mine
    assert account.submit(link, link).header("location") == "/account?said=email#profile"
    assert account.tables.users[USER.id].email == "ada@new.example"
    (told,) = account.deliver()
    assert (told.to, told.subject) == (USER.email, "Your e-mail address was changed")


def test_a_copied_session_does_not_become_the_account(account: PagesHouse) -> None:
    """Who has the address can set a password: so a new address needs the password, and it cannot be guessed here."""
    for typed in ("", "wrong", *("guess",) * 8):
        answer = account.submit("/account", "/account/profile", email="thief@example.test", password=typed)
        assert (answer.status, account.tables.jobs) == (400, [])
    assert "That is not your password now." in answer.text
    answer = account.submit("/account", "/account/profile", email="thief@example.test", password=PASSWORD)
    assert (answer.status, account.tables.jobs) == (400, [])
    assert "Too many tries." in answer.text


def test_an_address_of_somebody_else_looks_the_same(account: PagesHouse) -> None:
    answer = account.submit("/account", "/account/profile", email=BOB.email, password=PASSWORD)
    assert answer.header("location") == "/account?said=mailed#profile"
    (mail,) = account.deliver()
    assert (mail.to, mail.subject) == (BOB.email, "You already have an account")


def test_the_password(account: PagesHouse) -> None:
    form = {"current": PASSWORD, "new": CHANGED}
    assert account.submit("/account", "/account/password", **{**form, "current": "wrong"}).status == 400
    assert account.submit("/account", "/account/password", **{**form, "new": "short"}).status == 400
    before = dict(account.cookies)
    assert account.submit("/account", "/account/password", **form).status == 303
    assert len(account.tables.sessions) == 1, "the others are ended"
    assert account.get("/account").status == 200
    account.cookies = before
    assert account.get("/account").status == 303, "a copy of the old cookie is worth nothing"
    assert [mail.subject for mail in account.deliver()] == ["Your password was changed"]


def test_others_may_stay_when_the_password_changes(account: PagesHouse) -> None:
    form = account.page("/account").forms["/account/password"]
    del form["end_others"]
    assert account.send("/account/password", {**form, "current": PASSWORD, "new": CHANGED}).status == 303
    assert len(account.tables.sessions) == 2


def test_sessions_are_ended_one_by_one_and_all_together(account: PagesHouse) -> None:
    (action,) = [
        action for action in account.page("/account").forms if action.endswith("/end") and "sessions" in action
    ]
    assert account.submit("/account", action).status == 303
    assert len(account.tables.sessions) == 1
    account.other_browser()
    account.enter(BOB.email)
    bobs = next(str(session.id) for _, session in account.tables.sessions.values() if session.user_id == BOB.id)
    account.other_browser()
    account.enter()
    csrf = account.page("/account").forms["/account/profile"]["csrf"]
    assert account.send(f"/account/sessions/{bobs}/end", {"csrf": csrf}).status == 404
    assert account.send("/account/sessions/x/end", {"csrf": csrf}).status == 404
    account.send("/account/sessions/end-others", {"csrf": csrf})
    left = sorted(str(session.user_id) for _, session in account.tables.sessions.values())
    assert left == sorted([str(USER.id), str(BOB.id)])


def test_an_apps_access_is_ended(account: PagesHouse) -> None:
    action = f"/account/apps/{PRINT_SHOP.id}/end"
    assert account.submit("/account", action).status == 303
    assert account.tables.consents == {}
    assert account.events()[-1] == "consent.withdrawn"
    assert "No app has access." in account.get("/account").text


def test_password_managers_find_the_form(house: PagesHouse) -> None:
    assert house.get("/.well-known/change-password").header("location") == "/account#sign-in"


def test_the_console_says_when_monitoring_does_not_answer(console: PagesHouse) -> None:
    text = console.get("/admin").text
    assert "Monitoring does not answer" in text
    assert 'class="wall' not in text


def test_the_first_sentence_is_the_state_of_the_house(console: PagesHouse) -> None:
    names = ("gateway", "auth", "frontend", "resource", "files", "worker", "database", "cache", "monitoring")
    well = tuple(ServerHealth(name=name, ready=True, detail="", figures=()) for name in names)

    def seen(*servers: ServerHealth) -> str:
        async def overview() -> Overview:
            return Overview(at=0, servers=servers, p99_ms=41.2, refused_share=0.002, backlog=3)

        console.ports.health.overview = overview  # type: ignore[method-assign]  # for this test
        return console.get("/admin").text

    assert "All nine servers are well." in seen(*well)
    slow = msgspec.structs.replace(well[5], trouble="38 mails wait.")
    assert "One thing needs you: Worker. The other eight servers are well." in seen(*well[:5], slow, *well[6:])
    down = msgspec.structs.replace(well[0], ready=False)
    assert "Two things need you: Gateway, Worker. The other seven" in seen(down, *well[1:5], slow, *well[6:])
    assert "Cache was not seen yet" in seen(*(server for server in well if server.name != "cache"))


def test_locking_asks_first_and_ends_everything(console: PagesHouse) -> None:
    mine = console.other_browser()
    console.enter(BOB.email)
    console.cookies = mine
    page = f"/admin/users/{BOB.id}"
    assert f'href="{page}/lock"' in console.get(page).text
    assert not console.tables.users[BOB.id].disabled
    assert console.submit(f"{page}/lock", f"{page}/lock").header("location") == f"{page}?said=locked"
    assert console.tables.users[BOB.id].disabled
    assert all(session.user_id == USER.id for _, session in console.tables.sessions.values())
    assert console.events()[-1] == "user.disabled"
    console.submit(page, f"{page}/unlock")
    assert not console.tables.users[BOB.id].disabled


def test_nobody_locks_themselves_out(console: PagesHouse) -> None:
    page = f"/admin/users/{USER.id}"
    csrf = console.page(page).forms[f"{page}/end-all"]["csrf"]
    assert console.send(f"{page}/lock", {"csrf": csrf}).status == 409
    assert not console.tables.users[USER.id].disabled


def test_clients_of_the_file_are_read_only(console: PagesHouse) -> None:
    console.tables.clients[BFF.id] = msgspec.structs.replace(BFF, owner="file")
    page = f"/admin/clients/{BFF.id}"
    text = console.get(page).text
    assert "Read-only here" in text
    assert "/disable" not in text
    assert console.get(f"{page}/disable").status == 409
    csrf = console.page(f"/admin/clients/{PRINT_SHOP.id}/disable").forms[f"/admin/clients/{PRINT_SHOP.id}/disable"][
        "csrf"
    ]
    assert console.send(f"{page}/disable", {"csrf": csrf}).status == 409
    assert not console.tables.clients[BFF.id].disabled


def test_a_client_of_the_console_is_disabled_and_enabled(console: PagesHouse) -> None:
    page = f"/admin/clients/{PRINT_SHOP.id}"
    console.submit(f"{page}/disable", f"{page}/disable")
    assert console.tables.clients[PRINT_SHOP.id].disabled
    console.submit(page, f"{page}/enable")
    assert not console.tables.clients[PRINT_SHOP.id].disabled
    assert console.events()[-2:] == ["client.disabled", "client.enabled"]


def test_events_are_told_in_words_and_names_are_escaped(console: PagesHouse) -> None:
    console.tables.users[BOB.id] = msgspec.structs.replace(BOB, name="<b>Bob</b>{client}")
    mine = console.other_browser()
    console.enter(BOB.email, "wrong wrong wrong")
    console.cookies = mine
    for path in ("/admin/events", "/admin", f"/admin/users/{BOB.id}", "/admin/events?code=signin.refused&user=x"):
        text = console.get(path).text
        assert "<b>" not in text
    assert "A sign-in was refused" in console.get("/admin/events").text


@pytest.mark.parametrize(
    "query", ["code=nothing", "severity=loud", "before=yesterday", "before=2026-01-01", "code=a&code=b"]
)
def test_a_filter_that_is_none_is_refused(console: PagesHouse, query: str) -> None:
    assert console.get(f"/admin/events?{query}").status == 400


def test_every_page_of_the_console_is_marked_in_the_side_bar(console: PagesHouse) -> None:
    console.call("GET", "/jwks")
    for path in ("/admin", "/admin/events", "/admin/users", "/admin/users?q=bob", "/admin/clients", "/admin/keys"):
        page = Page(console.get(path).text)
        marked = [values["href"] for tag, values in page.tags if tag == "a" and values.get("aria-current") == "page"]
        assert path.partition("?")[0] in marked


def test_the_bare_host_leads_to_the_account(house: PagesHouse) -> None:
    answer = house.get("/")
    assert answer.status == 303
    assert answer.header("location") == "/account"
