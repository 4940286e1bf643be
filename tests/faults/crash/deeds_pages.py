"""The deeds of people at `id`: sign in, consent, sign up, reset, change an address; and the console's."""

from __future__ import annotations

import os
from uuid import UUID

from tests.faults import steps
from tests.faults.crash.bench import Bench, Deed, Prepare
from tests.faults.crash.deeds_oauth import ENDED
from tests.faults.crash.wire import submitted
from tests.faults.steps import PASSWORD, Browser, Person
from tests.fixtures.records import a_client, a_consent, a_session
from tests.fixtures.wire import Answer

from bartizan.auth import links
from bartizan.database.store import PostgresStore

SESSIONS = "SELECT count(*) FROM sessions WHERE user_id = $1"
LINKS = "SELECT count(*) FROM links WHERE kind = $1 AND detail->>'email' = $2"
OF_USER = "SELECT count(*) FROM links WHERE kind = $1 AND user_id = $2"
MAILS = """
    SELECT count(*) FROM pgqueuer JOIN links ON convert_from(payload, 'UTF8') LIKE '%' || links.id::text || '%'
    WHERE kind = $1 AND (detail->>'email' = $2 OR user_id::text = $2)
"""
NEW_PASSWORD = "nine loud orange kettles"


def link_of(bench: Bench, kind: str, whose: str) -> str:
    """The newest, as the mail says it."""
    whom = "kind = $1 AND (detail->>'email' = $2 OR user_id::text = $2)"
    (row,) = steps.rows(bench.site, f"SELECT id FROM links WHERE {whom} ORDER BY id DESC LIMIT 1", kind, whose)
    return links.token(bench.site.ring().purpose("link").newest[1], kind, row["id"])


def sign_in(bench: Bench) -> Deed:
    person = bench.person(password=True)
    browser = Browser(bench.node)
    page = browser.get("/signin")
    return Deed(
        sent=submitted(browser, page, "/signin", identifier=person.user.email, password=PASSWORD),
        effects=lambda: bench.count(SESSIONS, person.user.id) - 1,
        audited=lambda: bench.events("signin.done", "user_id", person.user.id),
        first=303,
        again=frozenset({303}),
        once=False,  # the session whose cookie was lost opens nothing, and stands in the account to be ended
        onward=lambda last: _is_in(bench, person, last),
    )


def _is_in(bench: Bench, person: Person, last: Answer) -> None:
    cookie = next(line for line in last.cookies if line.startswith(steps.NAMES.sso)).partition(";")[0]
    account = bench.node.ask("GET", "/account", headers={"cookie": cookie, "accept": "text/html"})
    assert account.status == 200, "I1"
    assert person.user.email.encode() in account.body, account


def consent(bench: Bench) -> Deed:
    """The code is what a consent given is for; the consent itself is one row, given again as often as allowed."""
    person = bench.person()
    browser = Browser(bench.node, person.cookie)
    asked = steps.authorize(bench.node, person, prompt="consent")
    assert asked.headers["location"] == "/consent", asked
    browser.jar |= dict(line.partition(";")[0].split("=", 1) for line in asked.cookies)
    page = browser.get("/consent")
    return Deed(
        sent=submitted(browser, page, "/consent", decision="allow", until="1h"),
        effects=lambda: bench.count("SELECT count(*) FROM codes WHERE session_id = $1", person.session.id),
        audited=lambda: bench.events("code.issued", "session_id", person.session.id),
        first=303,
        again=frozenset({400, 403}),  # the interaction is over: its form is out of date
        onward=lambda _: _consented(bench, person),
    )


def _consented(bench: Bench, person: Person) -> None:
    assert bench.count("SELECT count(*) FROM consents WHERE user_id = $1", person.user.id) == 1, "I5"
    assert bench.events("consent.granted", "user_id", person.user.id) >= 1, "I7"
    steps.code_in(steps.authorize(bench.node, person))


def sign_up(bench: Bench) -> Deed:
    """Before the link is used there is no account: the mail in the outbox is what tells of it."""
    email = f"{os.urandom(6).hex()}@example.com"
    browser = Browser(bench.node)
    page = browser.get("/signup")
    return Deed(
        sent=submitted(browser, page, "/signup", name="Ada", email=email, password=NEW_PASSWORD),
        effects=lambda: bench.count(LINKS, "verify", email),
        audited=lambda: bench.count(MAILS, "verify", email),
        first=303,
        again=frozenset({303}),
        once=False,  # a mail each time asked for; one account, whichever link is used
        onward=lambda _: _verifies_once(bench, email),
    )


def _verifies_once(bench: Bench, email: str) -> None:
    ids = steps.rows(bench.site, "SELECT id FROM links WHERE kind = 'verify' AND detail->>'email' = $1", email)
    key = bench.site.ring().purpose("link").newest[1]
    statuses = [_verified(bench, links.token(key, "verify", row["id"])).status for row in ids]
    assert sorted(statuses) == [303, *[410] * (len(ids) - 1)], f"I2: {statuses}"
    assert bench.count("SELECT count(*) FROM identifiers WHERE email = $1", email) == 1, "I5"


def _verified(bench: Bench, token: str) -> Answer:
    browser = Browser(bench.node)
    page = browser.get(f"/verify/{token}")
    return browser.submit(page, f"/verify/{token}", password=NEW_PASSWORD)


def verify(bench: Bench) -> Deed:
    email = f"{os.urandom(6).hex()}@example.com"
    browser = Browser(bench.node)
    browser.submit(browser.get("/signup"), "/signup", name="Ada", email=email, password=NEW_PASSWORD)
    path = f"/verify/{link_of(bench, 'verify', email)}"
    whose = "SELECT count(*) FROM events JOIN identifiers USING (user_id) WHERE email = $2 AND code = $1"

    def audited() -> int:
        made, verified = bench.count(whose, "user.created", email), bench.count(whose, "user.verified", email)
        assert made == verified, "I7"
        return made

    return Deed(
        sent=submitted(browser, browser.get(path), path),
        effects=lambda: bench.count("SELECT count(*) FROM identifiers WHERE email = $1", email),
        audited=audited,
        first=303,
        again=frozenset({410}),
        onward=lambda _: _signs_in(bench, email, NEW_PASSWORD),
    )


def _signs_in(bench: Bench, email: str, password: str) -> None:
    browser = Browser(bench.node)
    page = browser.get("/signin")
    got = browser.submit(page, "/signin", identifier=email, password=password)
    assert got.status == 303, f"I1: {got}"
    assert bench.count("SELECT count(*) FROM sessions JOIN identifiers USING (user_id) WHERE email = $1", email) >= 1


def ask_reset(bench: Bench) -> Deed:
    person = bench.person(password=True)
    browser = Browser(bench.node)
    return Deed(
        sent=submitted(browser, browser.get("/reset"), "/reset", identifier=person.user.email),
        effects=lambda: bench.count(OF_USER, "reset", person.user.id),
        audited=lambda: bench.count(MAILS, "reset", str(person.user.id)),
        first=303,
        again=frozenset({303}),
        once=False,
        onward=lambda _: _resets(bench, person),
    )


def _resets(bench: Bench, person: Person) -> None:
    deed = _reset_by(bench, person)
    assert deed.sent.to(bench.node).status == 303
    _signs_in(bench, person.user.email, NEW_PASSWORD)


def reset(bench: Bench) -> Deed:
    person = bench.person(password=True)
    browser = Browser(bench.node)
    browser.submit(browser.get("/reset"), "/reset", identifier=person.user.email)
    return _reset_by(bench, person)


def _reset_by(bench: Bench, person: Person) -> Deed:
    browser = Browser(bench.node)
    path = f"/reset/{link_of(bench, 'reset', str(person.user.id))}"
    page = browser.get(path)
    return Deed(
        sent=submitted(browser, page, path, password=NEW_PASSWORD),
        effects=lambda: bench.count(OF_USER + " AND used_at IS NOT NULL", "reset", person.user.id),
        audited=lambda: bench.events("password.reset", "user_id", person.user.id),
        first=303,
        again=frozenset({410}),
        onward=lambda _: _was_reset(bench, person),
    )


def _was_reset(bench: Bench, person: Person) -> None:
    _signs_in(bench, person.user.email, NEW_PASSWORD)
    assert bench.count(SESSIONS + " AND ended_at IS NULL", person.user.id) == 1, "I4: an old session lives"
    assert steps.authorize(bench.node, person).headers["location"] == "/signin", "I4"
    told = "entrypoint = 'mail.password_changed' AND convert_from(payload, 'UTF8') LIKE $1"
    mails = bench.count(f"SELECT count(*) FROM pgqueuer WHERE {told}", f"%{person.user.id}%")
    assert mails == 1, f"I5: {mails} mails for one reset"


def ask_address(bench: Bench) -> Deed:
    person, email = bench.person(password=True), f"{os.urandom(6).hex()}@example.com"
    browser = Browser(bench.node, person.cookie)
    page = browser.get("/account")
    return Deed(
        sent=submitted(browser, page, "/account/profile", name=person.user.name, email=email, password=PASSWORD),
        effects=lambda: bench.count(LINKS, "email", email),
        audited=lambda: bench.count(MAILS, "email", email),
        first=303,
        again=frozenset({303}),
        once=False,
        onward=lambda _: _has_address(bench, person.user.id, person.user.email),
    )


def _has_address(bench: Bench, user_id: UUID, email: str) -> None:
    """Asked for is not done: the link alone changes it."""
    assert bench.count("SELECT count(*) FROM identifiers WHERE user_id = $1 AND email = $2", user_id, email) == 1


def change_address(bench: Bench) -> Deed:
    person, email = bench.person(password=True), f"{os.urandom(6).hex()}@example.com"
    browser = Browser(bench.node, person.cookie)
    given = {"name": person.user.name, "email": email, "password": PASSWORD}
    asked = browser.submit(browser.get("/account"), "/account/profile", **given)
    assert asked.status == 303, asked
    path = f"/account/email/{link_of(bench, 'email', email)}"
    return Deed(
        sent=submitted(browser, browser.get(path), path),
        effects=lambda: bench.count("SELECT count(*) FROM identifiers WHERE email = $1", email),
        audited=lambda: bench.events("user.changed", "user_id", person.user.id),
        first=303,
        again=frozenset({410}),
        onward=lambda _: _has_address(bench, person.user.id, email),
    )


def end_others(bench: Bench) -> Deed:
    person = bench.person()
    other = a_session(person.user)

    async def add(store: PostgresStore) -> None:
        async with store.transaction() as records:
            await records.sessions.add(other, os.urandom(32))

    steps.within(bench.site, add)
    browser = Browser(bench.node, person.cookie)
    ended = "SELECT count(*) FROM sessions WHERE id = $1 AND ended_at IS NOT NULL"
    return Deed(
        sent=submitted(browser, browser.get("/account"), "/account/sessions/end-others"),
        effects=lambda: bench.count(ended, other.id),
        audited=lambda: bench.events("session.ended", "session_id", other.id),
        first=303,
        again=frozenset({303}),
        onward=lambda _: _is_still_in(bench, person),
    )


def _is_still_in(bench: Bench, person: Person) -> None:
    assert bench.node.ask("GET", "/account", headers={"cookie": person.cookie}).status == 200, "I10"


def withdraw(bench: Bench) -> Deed:
    """With what lives by it: a family that hangs on consent alone."""
    person = bench.person()
    made, token = steps.family(bench.site, person, session_id=None)

    async def add(store: PostgresStore) -> None:
        async with store.transaction() as records:
            client = await records.clients.by_id(made.client_id)
            assert client is not None
            await records.consents.grant(a_consent(person.user, client))

    steps.within(bench.site, add)
    browser = Browser(bench.node, person.cookie)
    return Deed(
        sent=submitted(browser, browser.get("/account"), f"/account/apps/{made.client_id}/end"),
        effects=lambda: bench.count(ENDED, made.id),
        audited=lambda: bench.events("consent.withdrawn", "user_id", person.user.id),
        first=303,
        again=frozenset({303}),
        onward=lambda _: _is_withdrawn(bench, person, token),
    )


def _is_withdrawn(bench: Bench, person: Person, token: str) -> None:
    assert bench.count("SELECT count(*) FROM consents WHERE user_id = $1", person.user.id) == 0, "I4"
    assert steps.refreshed(bench.node, token).status == 400, "I4"


def disable_client(bench: Bench) -> Deed:
    admin, client = bench.person(admin=True), a_client(first_party=True, owner="console")

    async def add(store: PostgresStore) -> None:
        async with store.transaction() as records:
            await records.clients.add(client)

    steps.within(bench.site, add)
    browser = Browser(bench.node, admin.cookie)
    page = browser.get(f"/admin/clients/{client.id}/disable")
    return Deed(
        sent=submitted(browser, page, f"/admin/clients/{client.id}/disable"),
        effects=lambda: bench.count("SELECT count(*) FROM clients WHERE id = $1 AND disabled", client.id),
        audited=lambda: bench.events("client.disabled", "client_id", client.id),
        first=303,
        again=frozenset({303}),
        onward=lambda _: None,
    )


def lock_user(bench: Bench) -> Deed:
    admin, person = bench.person(admin=True), bench.person()
    browser = Browser(bench.node, admin.cookie)
    path = f"/admin/users/{person.user.id}/lock"
    return Deed(
        sent=submitted(browser, browser.get(path), path),
        effects=lambda: bench.count("SELECT count(*) FROM users WHERE id = $1 AND disabled", person.user.id),
        audited=lambda: bench.events("user.disabled", "user_id", person.user.id),
        first=303,
        again=frozenset({303}),
        onward=lambda _: _is_locked(bench, person),
    )


def _is_locked(bench: Bench, person: Person) -> None:
    assert steps.authorize(bench.node, person).headers["location"] == "/signin", "I4"


DEEDS: dict[str, Prepare] = {
    "sign in": sign_in,
    "consent": consent,
    "sign up": sign_up,
    "verify": verify,
    "ask for a reset": ask_reset,
    "reset": reset,
    "ask for another address": ask_address,
    "change the address": change_address,
    "end the other sessions": end_others,
    "withdraw a consent": withdraw,
    "disable a client": disable_client,
    "lock a user": lock_user,
}
