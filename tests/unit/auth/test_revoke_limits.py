"""RFC 7009 beside flows §7: giving back tokens is counted, for each is an entry on everybody's list."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from tests.unit.auth.house import AGENT, BFF, PRINT_SHOP, SETTINGS, USER, House

from bartizan.model.limit import Taken, Try
from bartizan.protocol.oauth.errors import ERRORS


@pytest.fixture
def house() -> Iterator[House]:
    with House() as made:
        yield made


@pytest.mark.parametrize("kind", ["person", "client"])
def test_revoking_more_than_anybody_has_is_told_to_wait_and_others_go_on(
    house: House, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:

    counted: list[tuple[str, str]] = []

    async def second_refused(one: Try) -> tuple[Taken, ...]:
        counted.append((one.what, one.who))
        return (Taken(allowed=len(counted) != 2, reset_seconds=0 if len(counted) != 2 else 123),)

    monkeypatch.setattr(house.ports.limits, "take", second_refused)
    one = PRINT_SHOP if kind == "person" else AGENT

    def token() -> str:
        if kind == "person":
            return str(house.tokens()["refresh_token"])
        return str(house.as_client(AGENT, "/token", {"grant_type": "client_credentials"}).json["access_token"])

    first, second = token(), token()
    assert house.as_client(one, "/revoke", {"token": first}).status == 200
    limited = house.as_client(one, "/revoke", {"token": second})
    assert (limited.status, limited.header("retry-after")) == (429, "123")
    assert limited.json == {"error": "slow_down", "error_description": ERRORS["slow_down"].tell}
    assert house.as_client(one, "/revoke", {"token": second}).status == 200, "later it works"
    assert house.as_client(one, "/revoke", {"token": second}).status == 200, "twice is once"
    who = f"{PRINT_SHOP.id} {USER.id}" if kind == "person" else AGENT.id
    assert counted[:3] == [(f"revoke.{kind}", who)] * 3


def test_the_apps_own_sign_out_is_never_told_to_wait(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(one: Try) -> tuple[Taken, ...]:
        return (Taken(allowed=False, reset_seconds=9),)

    token = str(house.tokens(BFF)["refresh_token"])
    monkeypatch.setattr(house.ports.limits, "take", full)
    assert house.as_client(BFF, "/revoke", {"token": token}).status == 200
    assert house.refresh(BFF, token).json["error"] == "invalid_grant"


def test_what_one_gives_back_is_counted_for_as_long_as_it_stays_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    async def taken(one: Try) -> tuple[Taken, ...]:
        counted.append(one.limit.seconds)
        return (Taken(allowed=True, reset_seconds=0),)

    with House(replace(SETTINGS, access_token_lifetime=600)) as house:
        monkeypatch.setattr(house.ports.limits, "take", taken)
        own = house.as_client(AGENT, "/token", {"grant_type": "client_credentials"}).json["access_token"]
        for client, token in ((PRINT_SHOP, house.tokens()["refresh_token"]), (AGENT, own)):
            assert house.as_client(client, "/revoke", {"token": str(token)}).status == 200
    assert counted == [660, 660]
