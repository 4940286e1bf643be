"""The state machine of an authorization: the table of next steps, and walks through it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
import pytest
from starlette.responses import Response
from tests.unit.auth.fake_ports import START
from tests.unit.auth.fakes import FakeRedemptions
from tests.unit.auth.house import APP, BFF, ISSUER, PHONE, PRINT_BACK, PRINT_SHOP, SETTINGS, USER, House, asked, back

from bartizan.auth import proceed, signout, sso
from bartizan.auth.steps import Step, next_step
from bartizan.model.clients import Client, Consent
from bartizan.model.codes import Interaction
from bartizan.model.sessions import Session
from bartizan.protocol.oauth.authorize import AuthorizationRequest
from bartizan.protocol.oauth.parameters import from_query
from bartizan.protocol.oauth.redirects import CheckedRedirect
from bartizan.protocol.refusal import Refused


@pytest.fixture
def house() -> Iterator[House]:
    with House() as made:
        yield made


def at(seconds: int) -> Session:
    """A session proven so many seconds after the authorization began."""
    when = START + timedelta(seconds=seconds)
    return Session(
        id=UUID(int=2),
        user_id=USER.id,
        created_at=when,
        auth_time=when,
        last_seen_at=when,
        expires_at=START + timedelta(days=9),
        device="",
        network="",
    )


def allowed(seconds: int, *scopes: str) -> Consent:
    return Consent(
        id=UUID(int=3),
        user_id=USER.id,
        client_id="c",
        scopes=scopes,
        granted_at=START + timedelta(seconds=seconds),
        until=None,
        last_used_at=None,
    )


def wants(*prompt: str, max_age: int | None = None, to: str = "https://c.example/") -> AuthorizationRequest:
    return AuthorizationRequest(
        client_id="c",
        redirect=CheckedRedirect(to, sent=True),
        scopes=("a", "b"),
        code_challenge="",
        audience=(),
        prompt=prompt,
        max_age=max_age,
    )


ROWS = [
    # request, client, session, consent → step
    (wants(), BFF, None, None, Step.SIGN_IN),
    (wants("create"), BFF, None, None, Step.SIGN_UP),
    (wants(), BFF, at(-50), None, Step.CODE),
    (wants(), PRINT_SHOP, at(-50), None, Step.CONSENT),
    (wants(), PRINT_SHOP, at(-50), allowed(-40, "a", "b", "c"), Step.CODE),
    (wants(), PRINT_SHOP, at(-50), allowed(-40, "a"), Step.CONSENT),
    (wants(), PRINT_SHOP, at(-50), allowed(1, "a"), Step.CODE),
    (wants("consent"), PRINT_SHOP, at(-50), allowed(-40, "a", "b"), Step.CONSENT),
    (wants("consent"), BFF, at(-50), None, Step.CONSENT),
    (wants("consent"), BFF, at(-50), allowed(1, "a", "b"), Step.CODE),
    (wants("login"), BFF, at(-50), None, Step.SIGN_IN),
    (wants("login"), BFF, at(1), None, Step.CODE),
    (wants("create"), BFF, at(-50), None, Step.SIGN_UP),
    (wants("create"), BFF, at(1), None, Step.CODE),
    (wants("select_account"), BFF, at(-50), None, Step.SELECT_ACCOUNT),
    (wants("select_account"), BFF, at(1), None, Step.CODE),
    (wants(max_age=100), BFF, at(-50), None, Step.CODE),
    (wants(max_age=40), BFF, at(-50), None, Step.SIGN_IN),
    (wants(max_age=0), BFF, at(1), None, Step.CODE),
    (wants(to="http://127.0.0.1:5/"), PHONE, at(-50), allowed(-40, "a", "b"), Step.CONSENT),
    (wants(to="http://127.0.0.1:5/"), PHONE, at(-50), allowed(1, "a", "b"), Step.CODE),
    (wants(to="com.example.phone:/"), PHONE, at(-50), allowed(-40, "a", "b"), Step.CONSENT),
    (wants(), PHONE, at(-50), allowed(-40, "a", "b"), Step.CODE),
    (wants("login", "consent"), PRINT_SHOP, at(-50), None, Step.SIGN_IN),
    (wants("login", "consent"), PRINT_SHOP, at(1), None, Step.CONSENT),
]


@pytest.mark.parametrize(("request_", "client", "session", "consent", "step"), ROWS)
def test_next_step(
    request_: AuthorizationRequest, client: Client, session: Session | None, consent: Consent | None, step: Step
) -> None:
    interaction = Interaction(
        id=UUID(int=1), request=b"", client_id="c", created_at=START, expires_at=START + timedelta(hours=1)
    )
    now = START + timedelta(seconds=10)
    assert next_step(interaction, request_, client, session, consent, now) is step


def test_an_account_chosen_in_this_authorization_counts() -> None:
    chosen = Interaction(
        id=UUID(int=1),
        request=b"",
        client_id="c",
        created_at=START,
        expires_at=START + timedelta(hours=1),
        user_id=USER.id,
    )
    assert next_step(chosen, wants("select_account"), BFF, at(-50), None, START) is Step.CODE


@pytest.mark.parametrize(
    ("prompt", "session", "error"),
    [("none", False, "login_required"), ("none", True, "consent_required")],
)
def test_prompt_none_never_shows_a_page(house: House, prompt: str, session: bool, error: str) -> None:
    if session:
        house.sign_in()
    answer = house.authorize(PRINT_SHOP, prompt=prompt)
    assert back(answer)["error"] == error
    assert SETTINGS.cookies.ix not in house.cookies
    house.consent(PRINT_SHOP)
    if session:
        assert "code" in back(house.authorize(PRINT_SHOP, prompt=prompt))


def go_on(house: House, signed_in: sso.SignedIn | None = None) -> Response:
    return house.loop.run_until_complete(
        proceed.proceed(house.request(), house.ports, house.settings, signed_in=signed_in)
    )


def test_a_walk_from_sign_in_over_consent_to_the_code(house: House) -> None:
    assert house.authorize().header("location") == "/signin"
    before = house.request()
    signed_in = house.sign_in()
    step = house.loop.run_until_complete(proceed.proceed(before, house.ports, house.settings, signed_in=signed_in))
    assert (step.status_code, step.headers["location"]) == (303, "/consent")
    assert step.headers["set-cookie"] == signed_in.set_cookie
    house.consent(PRINT_SHOP, ("openid", "photos.read"))
    done = go_on(house)
    location = done.headers["location"]
    assert location.startswith(PRINT_BACK + "?code=bzc_")
    assert f"{SETTINGS.cookies.ix}=;" in done.headers["set-cookie"]
    (code, _), *_ = house.tables.codes.values()
    assert code.scopes == ("openid", "photos.read"), "what was asked and allowed"
    assert go_on(house).headers["location"] == "/account", "one interaction, one code"
    assert len(house.tables.codes) == 1


def test_a_consent_withdrawn_at_the_last_moment_gives_no_code(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.sign_in()
    house.consent(PRINT_SHOP)
    issue = FakeRedemptions.issue

    async def withdrawn_before(self: FakeRedemptions, *given: Any, **named: Any) -> bool:
        house.tables.consents.clear()
        return await issue(self, *given, **named)

    monkeypatch.setattr(FakeRedemptions, "issue", withdrawn_before)
    answer = house.authorize(PRINT_SHOP)
    assert (answer.status, house.tables.codes) == (400, {})


def test_saying_no_tells_the_client_and_ends_it(house: House) -> None:
    house.authorize()
    no = house.loop.run_until_complete(proceed.deny(house.request(), house.ports, house.settings))
    assert no.headers["location"].startswith(PRINT_BACK + "?error=access_denied&")
    assert "iss=http" in no.headers["location"]
    assert go_on(house).headers["location"] == "/account"


def test_an_interaction_lives_for_an_hour(house: House) -> None:
    house.authorize()
    house.later(3601)
    assert house.loop.run_until_complete(proceed.current(house.request(), house.ports, house.settings)) is None


def test_pages_learn_who_asks(house: House) -> None:
    house.authorize(login_hint="ada@example.test")
    current = house.loop.run_until_complete(proceed.current(house.request(), house.ports, house.settings))
    assert current is not None
    _, request, client = current
    assert (request.login_hint, client.name) == ("ada@example.test", "Print shop")


def test_a_fresh_proof_renews_the_secret_and_keeps_the_session(house: House) -> None:
    house.sign_in()
    old = dict(house.cookies)
    house.later(5)
    renewed = house.sign_in()
    assert len(house.tables.sessions) == 1
    assert renewed.session.auth_time == house.clock()
    assert house.cookies != old
    house.cookies = old
    known = house.loop.run_until_complete(sso.current_session(house.request(), house.ports, house.settings))
    assert known is None, "the old secret ended"


def test_signing_in_over_somebody_else_ends_her_session(house: House) -> None:
    house.sign_in()
    (before,) = house.tables.sessions
    bob = msgspec.structs.replace(USER, id=UUID(int=5), email="bob@example.test")
    house.tables.users[bob.id] = bob

    async def start() -> None:
        async with house.ports.store.transaction() as records:
            await sso.start_session(records, bob, house.request(), house.ports, house.settings)

    house.loop.run_until_complete(start())
    assert before not in house.tables.sessions


def test_somebody_locked_is_not_signed_in(house: House) -> None:
    house.sign_in()
    house.tables.users[USER.id] = msgspec.structs.replace(USER, disabled=True)
    assert house.authorize().header("location") == "/signin"


def test_no_full_address_in_a_session(house: House) -> None:
    assert house.sign_in().session.network == "203.0.113.0/24"


def read(house: House, **sent: str) -> signout.SignOut:
    session = next((session for _, session in house.tables.sessions.values()), None)
    parameters = from_query(urlencode(sent).encode())
    return house.loop.run_until_complete(signout.read(parameters, session, house.ports, house.settings))


def test_logout_is_proven_by_an_id_token_of_this_session(house: House) -> None:
    token = str(house.tokens(BFF)["id_token"])
    house.later(86_400)  # expired long ago
    asked_for = read(house, id_token_hint=token, post_logout_redirect_uri=f"{APP}/", state="s")
    assert asked_for.proven
    assert asked_for.back is not None
    assert asked_for.back.location == f"{APP}/?state=s"
    house.end_session()
    house.cookies.clear()
    house.sign_in()
    assert not read(house, id_token_hint=token).proven, "of another session"


def test_logout_without_proof_asks_and_goes_nowhere_strange(house: House) -> None:
    house.sign_in()
    assert not read(house).proven
    assert not read(house, client_id=BFF.id).proven
    assert not read(house, id_token_hint="rubbish").proven
    for sent in (
        {"client_id": BFF.id, "post_logout_redirect_uri": f"{APP}/other"},
        {"post_logout_redirect_uri": f"{APP}/"},
        {"client_id": "nobody"},
        {"client_id": PRINT_SHOP.id, "id_token_hint": str(house.tokens(BFF)["id_token"])},
    ):
        with pytest.raises(Refused):
            read(house, **sent)


def test_signing_out_ends_session_and_families(house: House) -> None:
    access = str(house.tokens(BFF)["access_token"])
    ((_, session),) = house.tables.sessions.values()

    async def out() -> list[UUID]:
        async with house.ports.store.transaction() as records:
            return await signout.sign_out(records, session, house.request(), client_id=BFF.id)

    ended = house.loop.run_until_complete(out())
    assert [str(gid) for gid in ended] == [house.claims(access)["gid"]]
    assert house.events()[-1] == "session.signed_out"
    assert house.userinfo(access).status == 401


def test_every_redirect_is_303_and_kept_by_no_cache(house: House) -> None:
    answer = house.call("GET", "/authorize?" + urlencode(asked(PRINT_SHOP)))
    assert (answer.status, answer.header("cache-control")) == (303, "no-store")
    assert ISSUER not in (answer.header("location") or "")
