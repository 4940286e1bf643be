"""The deeds of a browser at the BFF: sign in, refresh, renew, sign out. Its cookie jar is the client that goes on."""

from __future__ import annotations

from tests.faults.crash.app_browser import AppBrowser
from tests.faults.crash.bench import Bench, Deed, Prepare
from tests.faults.crash.deeds_oauth import FAMILIES, LIVING
from tests.faults.crash.wire import Sent
from tests.faults.steps import NAMES
from tests.fixtures.wire import Answer

GENERATION = "SELECT generation FROM families WHERE session_id = $1 ORDER BY created_at DESC LIMIT 1"


def begin_login(bench: Bench) -> Deed:
    """What is pushed holds the state, which only the answer's cookie knows: counted as rows of the client."""
    browser = AppBrowser(bench.person())
    before = bench.count("SELECT count(*) FROM pushed WHERE client_id = 'app'")

    def pushed() -> int:
        return bench.count("SELECT count(*) FROM pushed WHERE client_id = 'app'") - before

    return Deed(
        sent=browser.navigation("/bff/login"),
        effects=pushed,
        audited=pushed,
        first=303,
        again=frozenset({303}),
        once=False,
        onward=lambda _: _signs_in(bench, browser, 0),
    )


def callback(bench: Bench) -> Deed:
    browser = AppBrowser(bench.person())
    session_id = browser.person.session.id
    return Deed(
        sent=browser.begun(bench.node),
        effects=lambda: bench.count(FAMILIES, session_id),
        audited=lambda: bench.events("token.issued", "session_id", session_id),
        first=200,
        again=frozenset({400}),  # a page that says it took too long, with a way to begin again
        onward=lambda last: _signs_in(bench, browser, int(last.status == 200)),
    )


def _signs_in(bench: Bench, browser: AppBrowser, before: int) -> None:
    """`before`: families that live by now; a code that came back has ended its own."""
    living = bench.count(LIVING, browser.person.session.id)
    assert living == before, f"I2: {living} living families of one code"
    assert browser.sign_in(bench.node).session(bench.node)["signed_in"] is True, "I9"
    assert bench.count(LIVING, browser.person.session.id) == before + 1


def refresh(bench: Bench) -> Deed:
    browser = AppBrowser(bench.person()).sign_in(bench.node)
    return _rotating(bench, browser, browser.posted("/bff/refresh"), 200)


def renew(bench: Bench) -> Deed:
    browser = AppBrowser(bench.person()).sign_in(bench.node)
    del browser.jar[NAMES.at]
    return _rotating(bench, browser, browser.navigation("/bff/renew?return_to=/notes"), 303)


def _rotating(bench: Bench, browser: AppBrowser, sent: Sent, status: int) -> Deed:
    session_id = browser.person.session.id
    return Deed(
        sent=sent,
        effects=lambda: bench.count(GENERATION, session_id) - 1,
        audited=lambda: bench.count(GENERATION, session_id) - 1,  # a rotation's record is its generation
        first=status,
        again=frozenset({status}),
        onward=lambda last: _still_in(bench, browser, last),
    )


def _still_in(bench: Bench, browser: AppBrowser, last: Answer) -> None:
    """I10, X2: nobody was logged out; the jar works on, and no alarm was raised."""
    browser.keep(last)
    for _ in range(2):
        assert browser.keep(browser.posted("/bff/refresh").to(bench.node)).status == 200
    assert browser.session(bench.node)["signed_in"] is True
    assert bench.count(LIVING, browser.person.session.id) == 1
    assert bench.events("refresh.theft", "session_id", browser.person.session.id) == 0


def sign_out(bench: Bench) -> Deed:
    browser = AppBrowser(bench.person()).sign_in(bench.node)
    session_id = browser.person.session.id
    ended = FAMILIES + " AND ended_at IS NOT NULL"
    return Deed(
        sent=browser.posted("/bff/logout"),
        effects=lambda: bench.count(ended, session_id),
        audited=lambda: bench.events("token.revoked", "session_id", session_id),
        first=200,
        again=frozenset({200}),
        onward=lambda _: _is_out(bench, browser),
    )


def _is_out(bench: Bench, browser: AppBrowser) -> None:
    """I4: also for a copy of the jar that kept its cookies."""
    assert browser.session(bench.node)["signed_in"] is False
    assert browser.posted("/bff/refresh").to(bench.node).status == 401


DEEDS: dict[str, Prepare] = {
    "begin a login": begin_login,
    "callback": callback,
    "refresh by the app": refresh,
    "renew": renew,
    "sign out of the app": sign_out,
}
