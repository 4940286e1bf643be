"""The deeds of clients: authorize, push, redeem, refresh, revoke, introspect, sign out (OAuth 2.1, RFC 7009, 9126)."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from tests.faults import steps
from tests.faults.crash.bench import Bench, Deed, Prepare
from tests.faults.crash.wire import sent_by
from tests.faults.steps import FORM, VERIFIER, Person
from tests.fixtures.nodes import BACK
from tests.fixtures.wire import Answer

from bartizan.protocol import secrets
from bartizan.protocol.oauth.pkce import challenge

FAMILIES = "SELECT count(*) FROM families WHERE session_id = $1"
LIVING = FAMILIES + " AND ended_at IS NULL"
ENDED = "SELECT count(*) FROM families JOIN ended ON gid = id WHERE id = $1 AND ended_at IS NOT NULL"


def buys_once(bench: Bench, code: str) -> str:
    """I2, I7: the code becomes one family with its event; gives the refresh token."""
    got = steps.redeem(bench.node, code)
    assert got.status == 200, f"I1: an acknowledged code is refused: {got}"
    fingerprint = secrets.fingerprint(code)
    (row,) = steps.rows(bench.site, "SELECT family_id FROM codes WHERE fingerprint = $1", fingerprint)
    assert bench.count("SELECT count(*) FROM families WHERE id = $1", row["family_id"]) == 1, "I2: a family a code"
    assert bench.events("token.issued", "gid", row["family_id"]) == 1, "I7: no token without its audit row"
    assert steps.redeem(bench.node, code).status == 400, "I2: a code is spent once"
    assert steps.introspect(bench.node, str(got.json()["access_token"])).json() == {"active": False}, "I4"
    return str(got.json()["refresh_token"])


def signs_in_anew(bench: Bench, person: Person) -> None:
    """Whatever broke, a fresh start works."""
    got = steps.redeem(bench.node, steps.code_in(steps.authorize(bench.node, person)))
    assert got.status == 200, f"I9: {got}"
    assert steps.refreshed(bench.node, str(got.json()["refresh_token"])).status == 200


def authorize(bench: Bench) -> Deed:
    person = bench.person()
    return Deed(
        sent=sent_by(lambda node: steps.authorize(node, person)),
        effects=lambda: bench.count("SELECT count(*) FROM codes WHERE session_id = $1", person.session.id),
        audited=lambda: bench.events("code.issued", "session_id", person.session.id),
        first=303,
        again=frozenset({303}),  # another code, as another tab gets one
        once=False,
        onward=lambda last: _buys(bench, last),
    )


def _buys(bench: Bench, last: Answer) -> None:
    buys_once(bench, steps.code_in(last))


def asked(person: Person | None = None, **more: str) -> dict[str, str]:
    return {
        "response_type": "code", "client_id": "shop", "redirect_uri": BACK, "scope": "openid photos.read",
        "state": "st", "code_challenge": challenge(VERIFIER), "code_challenge_method": "S256", **more,
    }  # fmt: skip


def push(bench: Bench) -> Deed:
    """A pushed request is held for a minute and told to nobody else: it has no event, so its rows are counted twice."""
    person = bench.person()
    nonce = person.user.id.hex
    body = urlencode(asked(nonce=nonce)).encode()
    mine = "SELECT count(*) FROM pushed WHERE position($1::bytea in request) > 0"

    def held() -> int:
        return bench.count(mine, nonce.encode())

    return Deed(
        sent=sent_by(lambda node: node.ask("POST", "/par", headers={**FORM, **steps.basic("shop")}, body=body)),
        effects=held,
        audited=held,
        first=201,
        again=frozenset({201}),
        once=False,
        onward=lambda last: _opens_once(bench, person, last),
    )


def _opening(reference: str) -> str:
    return "/authorize?" + urlencode({"client_id": "shop", "request_uri": reference})


def _opens_once(bench: Bench, person: Person, last: Answer) -> None:
    path = _opening(str(last.json()["request_uri"]))
    opened = bench.node.ask("GET", path, headers={"cookie": person.cookie})
    buys_once(bench, steps.code_in(opened))
    again = bench.node.ask("GET", path, headers={"cookie": person.cookie})
    assert again.status == 400, f"I2: a request_uri is opened once: {again}"


def open_pushed(bench: Bench) -> Deed:
    person = bench.person()
    body = urlencode(asked()).encode()
    held = bench.node.ask("POST", "/par", headers={**FORM, **steps.basic("shop")}, body=body)
    path = _opening(str(held.json()["request_uri"]))
    return Deed(
        sent=sent_by(lambda node: node.ask("GET", path, headers={"cookie": person.cookie})),
        effects=lambda: bench.count("SELECT count(*) FROM codes WHERE session_id = $1", person.session.id),
        audited=lambda: bench.events("code.issued", "session_id", person.session.id),
        first=303,
        again=frozenset({400}),
        onward=lambda _: signs_in_anew(bench, person),
    )


def begin(bench: Bench) -> Deed:
    """Nobody is signed in: an interaction begins. Its rows are what tells of it; no event does before a proof."""
    person = bench.person()
    nonce = person.user.id.hex
    mine = "SELECT count(*) FROM interactions WHERE position($1::bytea in request) > 0"

    def under_way() -> int:
        return bench.count(mine, nonce.encode())

    return Deed(
        sent=sent_by(lambda node: steps.authorize(node, None, nonce=nonce)),
        effects=under_way,
        audited=under_way,
        first=303,
        again=frozenset({303}),
        once=False,
        onward=lambda last: _assert_at(last, "/signin"),
    )


def _assert_at(last: Answer, place: str) -> None:
    assert last.headers["location"] == place, last


def redeem(bench: Bench) -> Deed:
    person = bench.person()
    code = steps.code_in(steps.authorize(bench.node, person))
    return Deed(
        sent=sent_by(lambda node: steps.redeem(node, code)),
        effects=lambda: bench.count(FAMILIES, person.session.id),
        audited=lambda: bench.events("token.issued", "session_id", person.session.id),
        first=200,
        again=frozenset({400}),  # OAuth 2.1 §4.1.3: and what it bought has ended
        onward=lambda last: redeemed(bench, person, last),
    )


def redeemed(bench: Bench, person: Person, last: Answer) -> None:
    """A code that came back has ended what it bought; one that did not lives."""
    living = bench.count(LIVING, person.session.id)
    assert living == (1 if last.status == 200 else 0), f"I2: {living} living families of one code after {last.status}"
    signs_in_anew(bench, person)
    assert bench.count(LIVING, person.session.id) == living + 1


def refresh(bench: Bench) -> Deed:
    """A rotation is no event: the generation is its record (design §6)."""
    person = bench.person()
    made, token = steps.family(bench.site, person)

    def generation() -> int:
        return bench.count("SELECT generation FROM families WHERE id = $1", made.id)

    return Deed(
        sent=sent_by(lambda node: steps.refreshed(node, token)),
        effects=lambda: generation() - made.generation,
        audited=lambda: generation() - made.generation,
        first=200,
        again=frozenset({200}),  # grace: the same successor
        onward=lambda last: _one_lives(bench, made.id, token, last),
    )


def _one_lives(bench: Bench, family_id: UUID, token: str, last: Answer) -> None:
    """X2: never two that live; with generation n+1 used, n is theft and ends all, once its grace is over."""
    successor = str(last.json()["refresh_token"])
    assert successor == steps.token_of(bench.site, family_id, 2), "I2: one successor, derived"
    steps.age(bench.site, family_id)
    assert steps.refreshed(bench.node, successor).status == 200, "I1"
    steps.age(bench.site, family_id)
    stolen = steps.refreshed(bench.node, token)
    assert stolen.status == 400, f"I2: two live refresh tokens: {stolen}"
    assert bench.events("refresh.theft", "gid", family_id) == 1, "I7"
    assert steps.refreshed(bench.node, successor).status == 400, "I4: theft ends the family"
    assert bench.count("SELECT count(*) FROM ended WHERE gid = $1", family_id) == 1, "I4"


def stolen(bench: Bench) -> Deed:
    """Two generations back: the family ends, with its event and its mail, before that is answered."""
    person = bench.person()
    made, token = steps.family(bench.site, person)
    newest = token
    for _ in range(2):
        newest = str(steps.refreshed(bench.node, newest).json()["refresh_token"])
        steps.age(bench.site, made.id)
    return Deed(
        sent=sent_by(lambda node: steps.refreshed(node, token)),
        effects=lambda: bench.count(ENDED, made.id),
        audited=lambda: bench.events("refresh.theft", "gid", made.id),
        first=400,
        again=frozenset({400}),
        onward=lambda _: _caught(bench, made.id, newest),
    )


def _caught(bench: Bench, family_id: UUID, newest: str) -> None:
    _stays_revoked(bench, newest)
    told = "entrypoint = 'mail.theft' AND convert_from(payload, 'UTF8') LIKE $1"
    mails = bench.count(f"SELECT count(*) FROM pgqueuer WHERE {told}", f"%{family_id}%")
    assert mails == 1, f"I5: {mails} mails for one theft"


def revoke(bench: Bench) -> Deed:
    person = bench.person()
    made, token = steps.family(bench.site, person)
    return Deed(
        sent=sent_by(lambda node: steps.revoke(node, token)),
        effects=lambda: bench.count(ENDED, made.id),
        audited=lambda: bench.events("token.revoked", "gid", made.id),
        first=200,
        again=frozenset({200}),
        onward=lambda _: _stays_revoked(bench, token),
    )


def _stays_revoked(bench: Bench, token: str) -> None:
    assert steps.refreshed(bench.node, token).status == 400, "I4"
    assert steps.introspect(bench.node, token).json() == {"active": False}, "I4"


def sign_out(bench: Bench) -> Deed:
    """RP-initiated, proven by the ID token: no question, so one request does it."""
    person = bench.person()
    got = steps.redeem(bench.node, steps.code_in(steps.authorize(bench.node, person)))
    token, hint = str(got.json()["refresh_token"]), str(got.json()["id_token"])
    path = "/logout?" + urlencode({"id_token_hint": hint, "client_id": "shop"})
    ended = "SELECT count(*) FROM sessions WHERE id = $1 AND ended_at IS NOT NULL"
    return Deed(
        sent=sent_by(lambda node: node.ask("GET", path, headers={"cookie": person.cookie})),
        effects=lambda: bench.count(ended, person.session.id),
        audited=lambda: bench.events("session.signed_out", "session_id", person.session.id),
        first=303,
        again=frozenset({303}),
        onward=lambda _: _signed_out(bench, person, token),
    )


def _signed_out(bench: Bench, person: Person, token: str) -> None:
    assert bench.count(LIVING, person.session.id) == 0, "I4: a family outlived its session"
    _stays_revoked(bench, token)
    assert steps.authorize(bench.node, person).headers["location"] == "/signin", "I4: the cookie still opens"


def credentials(bench: Bench) -> Deed:
    """Stateless: nothing is written, so nothing can be half done."""
    return Deed(
        sent=sent_by(steps.credentials),
        effects=lambda: 0,
        audited=lambda: bench.count("SELECT count(*) FROM families WHERE client_id = 'agent'"),
        first=-1,
        again=frozenset({200}),
        onward=lambda last: _active(bench, str(last.json()["access_token"]), "agent"),
    )


def introspect(bench: Bench) -> Deed:
    person = bench.person()
    made, token = steps.family(bench.site, person)
    return Deed(
        sent=sent_by(lambda node: steps.introspect(node, token)),
        effects=lambda: 0,
        audited=lambda: bench.count("SELECT generation - 1 FROM families WHERE id = $1", made.id),
        first=-1,
        again=frozenset({200}),
        onward=lambda last: _active(bench, token, "shop"),
    )


def _active(bench: Bench, token: str, client: str) -> None:
    assert steps.introspect(bench.node, token, client).json()["active"] is True, "I1"


DEEDS: dict[str, Prepare] = {
    "authorize": authorize,
    "push": push,
    "open what was pushed": open_pushed,
    "begin an interaction": begin,
    "redeem": redeem,
    "refresh": refresh,
    "a stolen token": stolen,
    "revoke": revoke,
    "sign out": sign_out,
    "client credentials": credentials,
    "introspect": introspect,
}
