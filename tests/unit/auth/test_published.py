"""Metadata, keys, CORS and the feed of the ended."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from tests.unit.auth.fake_ports import START, FakeChance
from tests.unit.auth.house import ISSUER, PRINT_SHOP, RING, SETTINGS, House
from tests.unit.web.calling import Answer, calling

from bartizan.auth import keys
from bartizan.auth.endpoints import ended
from bartizan.auth.grants import GRANTS
from bartizan.model.keys import StoredKey
from bartizan.protocol import jose

PRINT_ORIGIN = "http://print.localhost:8080"


@pytest.fixture
def house() -> Iterator[House]:
    with House() as made:
        yield made


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"])
def test_metadata_comes_from_the_tables_the_server_runs_on(house: House, path: str) -> None:
    told = house.call("GET", path).json
    assert told["issuer"] == ISSUER
    assert told["grant_types_supported"] == list(GRANTS)
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["response_types_supported"] == ["code"]
    assert "none" not in str(told["introspection_endpoint_auth_methods_supported"])
    assert "photos.read" in str(told["scopes_supported"])
    for name, address in told.items():
        if name.endswith("_endpoint") and name != "end_session_endpoint":
            assert str(address).startswith(ISSUER + "/")
            answer = house.call("POST", str(address).removeprefix(ISSUER), headers={"content-type": "text/plain"})
            assert answer.status in (400, 401), name


def test_jwks_holds_public_parts_alone(house: House) -> None:
    house.tokens()
    answer = house.call("GET", "/jwks")
    listed = answer.json["keys"]
    assert isinstance(listed, list)
    assert [set(key) for key in listed] == [{"kty", "crv", "x", "y", "kid", "alg", "use"}]
    assert answer.header("cache-control") == "public, max-age=60"


def test_cors_is_on_answers_and_refusals_and_nowhere_else(house: House) -> None:
    def allowed(method: str, target: str, origin: str) -> str | None:
        return house.call(method, target, headers={"origin": origin}).header("access-control-allow-origin")

    assert allowed("GET", "/jwks", "https://anyone.example") == "*"
    assert allowed("GET", "/.well-known/openid-configuration", "https://anyone.example") == "*"
    for method, target in (("POST", "/token"), ("GET", "/userinfo"), ("POST", "/revoke"), ("GET", "/token")):
        assert allowed(method, target, PRINT_ORIGIN) == PRINT_ORIGIN
        assert allowed(method, target, "https://evil.example") is None
        assert allowed(method, target, "null") is None
    for method, target in (("GET", "/authorize"), ("POST", "/par"), ("POST", "/introspect"), ("GET", "/signin")):
        assert allowed(method, target, PRINT_ORIGIN) is None


def test_preflights(house: House) -> None:
    headers = {"origin": PRINT_ORIGIN, "access-control-request-method": "POST"}
    answer = house.call("OPTIONS", "/token", headers=headers)
    assert (answer.status, answer.header("access-control-allow-origin")) == (204, PRINT_ORIGIN)
    assert answer.header("access-control-allow-credentials") is None
    assert house.call("OPTIONS", "/authorize", headers=headers).header("access-control-allow-origin") is None


def feed(house: House, query: str = "") -> jose.Claims:
    answer = house.call("GET", f"/.well-known/bartizan/ended{query}")
    assert answer.status == 200
    return told_by(house, answer)


def told_by(house: House, answer: Answer) -> jose.Claims:
    """As gateways and guards check it."""
    return jose.verify(
        answer.text,
        jose.key_set(house.call("GET", "/jwks").json),
        algorithms=("ES256",),
        typ="ended+jwt",
        issuer=ISSUER,
        audience=None,
        now=int(house.clock().timestamp()),
        max_age=10,
    )


def test_the_feed_is_signed_and_lists_what_ended(house: House) -> None:
    tokens = house.tokens()
    assert feed(house)["gids"] == []
    house.as_client(PRINT_SHOP, "/revoke", {"token": str(tokens["refresh_token"])})
    told = feed(house)
    assert told["gids"] == [str(gid) for gid in house.tables.ended]
    assert told["cursor"] == int(START.timestamp())


def test_the_feed_waits_and_answers_when_something_ends(house: House) -> None:
    house.call("GET", "/jwks")
    gid = UUID(int=77)
    after = int(house.clock().timestamp())

    async def wait_and_end() -> tuple[float, Answer]:
        begun = time.monotonic()
        waiting = asyncio.create_task(calling(house.app, "GET", f"/.well-known/bartizan/ended?after={after}"))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        house.later(1)
        house.tables.ended[gid] = house.clock()
        answer = await waiting
        return time.monotonic() - begun, answer

    seconds, answer = house.loop.run_until_complete(wait_and_end())
    assert seconds < ended.LONGEST_WAIT
    assert told_by(house, answer)["gids"] == [str(gid)]


def test_the_feed_answers_when_nothing_ends(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended.LONGEST_WAIT < 2
    monkeypatch.setattr(ended, "LONGEST_WAIT", 0.3)
    feed(house, f"?after={int(house.clock().timestamp())}")  # from now on the process knows which keys are old news
    house.later(1)
    begun = time.monotonic()
    feed(house, f"?after={int(house.clock().timestamp())}")
    assert time.monotonic() - begun >= 0.3


def test_a_cursor_from_the_future_gets_everything(house: House) -> None:
    house.tables.ended[UUID(int=78)] = house.clock() - timedelta(seconds=200)
    begun = time.monotonic()
    told = feed(house, f"?after={int(house.clock().timestamp()) + 3600}")
    assert told["gids"] == [str(UUID(int=78))]
    assert time.monotonic() - begun < 1.0


@pytest.mark.parametrize("after", ["-1", "x", "1e3", "1" * 13, "%31%"])
def test_the_feed_refuses_what_is_no_cursor(house: House, after: str) -> None:
    assert house.call("GET", f"/.well-known/bartizan/ended?after={after}").status == 400


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def stored(kid: str, active: int, **times: int) -> StoredKey:
    return StoredKey(
        kid=kid,
        algorithm="ES256",
        public_jwk={},
        sealed=b"",
        created_at=START + timedelta(seconds=times.get("created", 0)),
        active_at=START + timedelta(seconds=active),
        retired_at=START + timedelta(seconds=times["retired"]) if "retired" in times else None,
        removed_at=None,
    )


@pytest.mark.parametrize(
    ("held", "now", "force", "expected"),
    [
        ([], 5, False, keys.Plan(add=at(5))),
        ([stored("a", 0)], 50, False, keys.Plan(add=at(100))),  # the next is published as soon as one signs
        ([stored("a", 0)], 98, False, keys.Plan(add=at(108))),  # but never used before all can know it
        ([stored("a", 0)], 1, True, keys.Plan(add=at(11))),
        ([stored("a", 0), stored("b", 100)], 50, False, keys.Plan()),
        ([stored("a", 0), stored("b", 100)], 50, True, keys.Plan(start=("b", at(50)))),
        ([stored("a", 0), stored("b", 100, created=45)], 50, True, keys.Plan(start=("b", at(55)))),
        ([stored("a", 0), stored("b", 55, created=45)], 50, True, keys.Plan()),  # forced twice
        ([stored("a", 0), stored("b", 900)], 50, False, keys.Plan(start=("b", at(100)))),  # the file says: more often
        ([stored("a", 0), stored("b", 100)], 100, False, keys.Plan(add=at(200), retire=("a",))),
        ([stored("a", 0, retired=100), stored("b", 100), stored("c", 200)], 120, False, keys.Plan()),
        ([stored("b", 100)], 50, False, keys.Plan(add=at(200))),  # this clock is behind the one that started b
    ],
)
def test_rotation_as_a_table(held: list[StoredKey], now: int, force: bool, expected: keys.Plan) -> None:
    assert keys.plan(held, at(now), rotation_seconds=100, ahead_seconds=10, force=force) == expected


def test_a_clock_that_is_behind_signs_with_what_there_is() -> None:
    assert keys.signing([stored("next", 200), stored("started", 100)], at(50)) == stored("started", 100)
    assert keys.signing([stored("next", 200), stored("gone", 0, retired=40)], at(50)) == stored("next", 200)
    assert keys.signing([stored("gone", 0, retired=40)], at(50)) is None


def rotate(house: House, *, force: bool = False) -> keys.Plan:
    ports = house.ports
    return house.loop.run_until_complete(
        keys.rotate(SETTINGS, ports.store, ports.ring, ports.clock, ports.chance, force=force)
    )


def kid_of(token: object) -> str:
    head = str(token).split(".")[0]
    return str(json.loads(urlsafe_b64decode(head + "=="))["kid"])


def test_a_key_is_published_before_use_and_kept_until_its_last_token_died(house: House) -> None:
    old = kid_of(house.tokens()["access_token"])
    rotate(house, force=True)
    assert len(house.tables.keys) == 2
    house.later(keys.REFRESH_SECONDS)  # a process reads its keys again twice a second
    assert kid_of(house.tokens()["access_token"]) == old, "the next key waits until everybody can know it"
    assert len(list(house.call("GET", "/jwks").json["keys"])) == 2  # type: ignore[call-overload]  # a JSON list
    house.later(SETTINGS.key_publish_ahead_seconds)
    assert rotate(house).retire == (old,)
    token = str(house.tokens()["access_token"])
    assert kid_of(token) != old
    assert old in house.call("GET", "/jwks").text
    house.later(SETTINGS.access_token_lifetime + keys.GRACE_SECONDS + 1)
    assert old not in house.call("GET", "/jwks").text
    assert "key.rotated" in house.events()


def test_a_withdrawn_key_signs_and_proves_nothing(house: House) -> None:
    token = str(house.tokens()["access_token"])
    ports, kid = house.ports, kid_of(token)
    done = keys.withdraw(SETTINGS, ports.store, ports.ring, ports.clock, ports.chance, kid)
    assert house.loop.run_until_complete(done)
    house.later(keys.REFRESH_SECONDS)
    assert kid not in house.call("GET", "/jwks").text
    assert house.userinfo(token).status == 401
    assert kid_of(house.tokens()["access_token"]) != kid
    assert "key.withdrawn" in house.events()


def test_a_key_that_leaked_after_its_time_proves_nothing_either(house: House) -> None:
    """It signs no more and is not published, but old ID tokens of it still count as hints at sign-out."""
    old = kid_of(house.tokens()["access_token"])
    ports = house.ports
    house.tables.keys[old] = msgspec.structs.replace(
        house.tables.keys[old], retired_at=START, removed_at=START + timedelta(seconds=1)
    )
    house.later(60)

    async def trusted() -> list[str]:
        async with ports.store.reading() as records:
            return [key.kid for key in await records.keys.trusted()]

    def withdraw() -> bool:
        return house.loop.run_until_complete(
            keys.withdraw(SETTINGS, ports.store, ports.ring, ports.clock, ports.chance, old)
        )

    assert old in house.loop.run_until_complete(trusted())
    assert withdraw()
    assert old not in house.loop.run_until_complete(trusted())
    assert not withdraw()


def test_the_feed_names_the_published_keys(house: House) -> None:
    kid = kid_of(house.tokens()["access_token"])
    assert feed(house)["kids"] == [kid]
    ports = house.ports
    house.loop.run_until_complete(keys.withdraw(SETTINGS, ports.store, ports.ring, ports.clock, ports.chance, kid))
    house.later(keys.REFRESH_SECONDS)
    assert kid not in str(feed(house)["kids"])


def test_private_parts_are_sealed(house: House) -> None:
    house.tokens()
    (key,) = house.tables.keys.values()
    assert b'"d"' not in key.sealed
    assert "d" not in key.public_jwk


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_every_algorithm_can_be_made(algorithm: str) -> None:
    key = keys.generate(algorithm, RING.purpose("signing"), FakeChance(), now=START, active_at=START)
    assert key.public_jwk["alg"] == algorithm
    assert jose.key_set({"keys": [key.public_jwk]}).by_kid
