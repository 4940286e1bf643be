"""Whole flows on the real database: what only real transactions, locks and clocks can show."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from urllib.parse import urlencode
from uuid import UUID

import pytest
from tests.engine.auth.real_house import RealHouse, now
from tests.unit.auth.house import APP, BFF, ISSUER, PRINT_SHOP, RING, SETTINGS, USER, VERIFIER
from tests.unit.web.calling import Answer, calling

from bartizan.auth import keys, proceed, signout
from bartizan.auth.keys import SigningKeys
from bartizan.database import known_clients
from bartizan.model.keys import StoredKey
from bartizan.model.store import Records
from bartizan.protocol import jose

pytestmark = pytest.mark.engine


@pytest.fixture
def house(empty_database_url: str) -> Iterator[RealHouse]:
    with RealHouse(empty_database_url) as made:
        made.furnish()
        yield made


def ended_on_the_feed(house: RealHouse) -> list[str]:
    return gids_of(house, house.call("GET", "/.well-known/bartizan/ended"))


def gids_of(house: RealHouse, answer: Answer) -> list[str]:
    claims = jose.verify(
        answer.text,
        jose.key_set(house.call("GET", "/jwks").json),
        algorithms=("ES256",),
        typ="ended+jwt",
        issuer=ISSUER,
        audience=None,
        now=int(now().timestamp()),
        max_age=10,
    )
    gids = claims["gids"]
    assert isinstance(gids, list)
    return gids


def test_from_par_to_revocation(house: RealHouse) -> None:
    tokens = house.tokens(BFF)
    access = str(tokens["access_token"])
    gid = str(house.claims(access, audience=APP)["gid"])
    assert house.userinfo(access).json["email"] == USER.email
    assert house.as_client(BFF, "/introspect", {"token": access}).json["active"] is True
    second = house.refresh(BFF, str(tokens["refresh_token"])).json
    assert house.claims(str(second["access_token"]))["gid"] == gid
    assert house.as_client(BFF, "/introspect", {"token": str(second["refresh_token"])}).json["active"] is True
    assert ended_on_the_feed(house) == []
    assert house.as_client(BFF, "/revoke", {"token": str(second["refresh_token"])}).status == 200
    assert ended_on_the_feed(house) == [gid]
    assert house.userinfo(access).status == 401
    assert house.refresh(BFF, str(second["refresh_token"])).json["error"] == "invalid_grant"
    assert house.events() == ["token.revoked", "token.issued", "code.issued"]


def test_a_code_presented_fifty_times_at_once_buys_once_and_then_nothing(house: RealHouse) -> None:
    form = {"grant_type": "authorization_code", "code": house.code(), "code_verifier": VERIFIER}
    answers = house.at_once(PRINT_SHOP, form, 50)
    (won,) = [answer for answer in answers if answer.status == 200]
    assert {answer.json["error"] for answer in answers if answer.status != 200} == {"invalid_grant"}
    assert "code.replayed" in house.events()
    assert house.refresh(PRINT_SHOP, str(won.json["refresh_token"])).status == 400
    assert house.userinfo(str(won.json["access_token"])).status == 401


def test_fifty_refreshes_at_once_are_one_rotation(house: RealHouse) -> None:
    tokens = house.tokens()
    form = {"grant_type": "refresh_token", "refresh_token": str(tokens["refresh_token"])}
    answers = house.at_once(PRINT_SHOP, form, 50)
    assert {answer.status for answer in answers} == {200}
    (successor,) = {str(answer.json["refresh_token"]) for answer in answers}
    assert house.refresh(PRINT_SHOP, successor).status == 200


def test_a_thief_ends_the_family_and_the_bffs_session(house: RealHouse) -> None:
    tokens = house.tokens(BFF)
    stolen = str(tokens["refresh_token"])
    second = house.refresh(BFF, stolen).json
    house.age(str(house.claims(str(second["access_token"]))["gid"]))
    third = house.refresh(BFF, str(second["refresh_token"])).json
    assert house.refresh(BFF, stolen).json["error"] == "invalid_grant"
    gid = str(house.claims(str(third["access_token"]))["gid"])
    assert gid in ended_on_the_feed(house)
    assert house.refresh(BFF, str(third["refresh_token"])).json["error"] == "invalid_grant"
    assert "refresh.theft" in house.events()
    assert house.open(BFF, house.push()).header("location") == "/signin"


def test_signing_out_spares_what_hangs_on_consent(house: RealHouse) -> None:
    bff, offline = house.tokens(BFF), house.tokens(PRINT_SHOP)
    bound = house.tokens(PRINT_SHOP, scope="openid")

    async def out(records: Records) -> list[UUID]:
        (session,) = await records.sessions.of_user(USER.id)
        return await signout.sign_out(records, session, house.request())

    assert len(house.within(out)) == 2
    assert house.refresh(BFF, str(bff["refresh_token"])).status == 400
    assert house.refresh(PRINT_SHOP, str(bound["refresh_token"])).status == 400
    assert house.refresh(PRINT_SHOP, str(offline["refresh_token"])).status == 200


def test_withdrawing_consent_ends_tokens_and_the_code_on_its_way(house: RealHouse) -> None:
    tokens, code = house.tokens(), house.code()

    async def withdraw(records: Records) -> list[UUID]:
        return await records.consents.withdraw(USER.id, PRINT_SHOP.id)

    house.within(withdraw)
    assert house.redeem(PRINT_SHOP, code).json["error"] == "invalid_grant"
    assert house.refresh(PRINT_SHOP, str(tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert house.userinfo(str(tokens["access_token"])).status == 401
    assert house.authorize().header("location") == "/consent"


def test_somebody_locked_gets_nothing_by_any_grant(house: RealHouse) -> None:
    tokens, code = house.tokens(), house.code()

    async def lock(records: Records) -> None:
        await records.users.set_disabled(USER.id, True)

    house.within(lock)
    assert house.redeem(PRINT_SHOP, code).json["error"] == "invalid_grant"
    assert house.refresh(PRINT_SHOP, str(tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert house.userinfo(str(tokens["access_token"])).status == 401
    assert house.as_client(PRINT_SHOP, "/introspect", {"token": str(tokens["access_token"])}).json == {"active": False}
    assert house.authorize().header("location") == "/signin"


def test_a_disabled_client_gets_nothing(house: RealHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_clients, "OLDEST", 0)  # what a moment more changes, test_known_clients.py says
    tokens = house.tokens()

    async def off(records: Records) -> None:
        await records.clients.set_disabled(PRINT_SHOP.id, True)

    house.within(off)
    assert house.refresh(PRINT_SHOP, str(tokens["refresh_token"])).json["error"] == "invalid_client"
    assert house.authorize().status == 400
    assert house.userinfo(str(tokens["access_token"])).status == 401


def test_an_interaction_ends_once_even_when_two_tabs_press_at_once(house: RealHouse) -> None:

    house.authorize()
    house.sign_in()
    house.consent(PRINT_SHOP)

    async def twice() -> list[object]:
        both = (proceed.proceed(house.request(), house.ports, SETTINGS) for _ in range(2))
        return list(await asyncio.gather(*both, return_exceptions=True))

    house.loop.run_until_complete(twice())
    assert house.events().count("code.issued") == 1


def test_a_request_uri_is_taken_once_even_by_ten_at_once(house: RealHouse) -> None:
    house.sign_in()
    query = urlencode({"client_id": BFF.id, "request_uri": house.push()})
    cookie = "; ".join(f"{name}={value}" for name, value in house.cookies.items())

    async def all_together() -> list[Answer]:
        calls = (calling(house.app, "GET", f"/authorize?{query}", headers={"cookie": cookie}) for _ in range(10))
        return list(await asyncio.gather(*calls))

    answers = house.loop.run_until_complete(all_together())
    assert sorted(answer.status for answer in answers) == [303] + [400] * 9
    assert house.events().count("code.issued") == 1


def test_the_feed_tells_within_a_second(house: RealHouse) -> None:
    access = str(house.tokens()["access_token"])
    gid = UUID(str(house.claims(access)["gid"]))
    after = int(now().timestamp())

    async def read_until_told() -> Answer:
        """As readers do: an answer that brought nothing is followed by the next question."""
        while True:
            answer = await calling(house.app, "GET", f"/.well-known/bartizan/ended?after={after}")
            body = answer.text.split(".")[1]
            if str(gid) in json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["gids"]:
                return answer  # its signature is checked below

    async def end_while_waiting() -> tuple[float, Answer]:
        waiting = asyncio.create_task(read_until_told())
        await asyncio.sleep(0.3)  # so that it waits by then, which nothing tells; if it does not, less is tried
        begun = time.monotonic()
        async with house.real.transaction() as records:
            await records.families.end(gid, "test")
        answer = await asyncio.wait_for(waiting, 5)
        return time.monotonic() - begun, answer

    seconds, answer = house.loop.run_until_complete(end_while_waiting())
    assert seconds < 2.0
    assert str(gid) in gids_of(house, answer)


def test_many_processes_start_with_one_key(house: RealHouse) -> None:
    async def start_all() -> list[object]:
        rings = [SigningKeys(SETTINGS, house.real, RING, now, house.ports.chance) for _ in range(6)]
        return list(await asyncio.gather(*(ring.signer() for ring in rings), return_exceptions=True))

    house.loop.run_until_complete(start_all())

    async def held(records: Records) -> list[StoredKey]:
        return await records.keys.published()

    assert len(house.within(held)) == 1


def test_rotation_publishes_first_and_ends_by_itself(house: RealHouse) -> None:
    house.tokens()
    ports = house.ports
    house.loop.run_until_complete(keys.rotate(SETTINGS, ports.store, RING, now, ports.chance, force=True))

    async def held(records: Records) -> list[StoredKey]:
        return await records.keys.published()

    stored = house.within(held)
    assert len(stored) == 2
    signing = keys.signing(stored, now())
    assert signing is not None
    assert signing.active_at < stored[0].active_at


def test_without_the_database_everything_is_503() -> None:
    with RealHouse("postgresql://nobody@/none?host=/nonexistent") as house:
        answers = [
            house.refresh(BFF, "x"),
            house.call("GET", "/jwks"),
            house.userinfo("a.b.c"),
            house.authorize(),
            house.call("GET", "/.well-known/bartizan/ended"),
        ]
        assert {answer.status for answer in answers} == {503}
        assert all(answer.header("retry-after") for answer in answers)
        assert house.call("GET", "/.well-known/openid-configuration").status == 200
