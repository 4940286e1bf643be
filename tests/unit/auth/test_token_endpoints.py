"""Refresh, client credentials, revocation, introspection and userinfo over the whole in-memory server."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import msgspec
import pytest
from tests.unit.auth.house import (
    AGENT,
    APP,
    BFF,
    FORM,
    ISSUER,
    PHONE,
    PRINT_SHOP,
    SECRET,
    USER,
    House,
    basic,
)

from bartizan.protocol.oauth import introspection, refresh


@pytest.fixture
def house() -> Iterator[House]:
    with House() as made:
        yield made


def test_a_refresh_gives_the_next_token_and_the_same_one_when_asked_again(house: House) -> None:
    first = str(house.tokens()["refresh_token"])
    second = house.refresh(PRINT_SHOP, first)
    again = house.refresh(PRINT_SHOP, first)
    assert second.status == 200
    assert second.json["refresh_token"] == again.json["refresh_token"] != first
    assert "id_token" not in second.json, "OIDC Core §12.2: it may be left out, and says nothing new"
    assert (second.header("cache-control"), second.header("pragma")) == ("no-store", "no-cache")


def test_two_generations_below_is_theft(house: House) -> None:
    tokens = house.tokens()
    first = str(tokens["refresh_token"])
    second = str(house.refresh(PRINT_SHOP, first).json["refresh_token"])
    third = house.refresh(PRINT_SHOP, second).json
    theft = house.refresh(PRINT_SHOP, first)
    assert theft.json == house.refresh(PRINT_SHOP, "bzr_nonsense").json, "told what a typo is told"
    assert house.refresh(PRINT_SHOP, str(third["refresh_token"])).status == 400
    assert house.userinfo(str(third["access_token"])).status == 401


def test_a_refresh_token_is_its_clients_alone(house: House) -> None:
    token = str(house.tokens(PRINT_SHOP)["refresh_token"])
    assert house.refresh(BFF, token).json["error"] == "invalid_grant"
    assert "refresh.refused" in house.events()
    assert house.refresh(PRINT_SHOP, token).status == 200, "the family lives"


@pytest.mark.parametrize("cut", [1, 2, 4, 40, 85])
def test_a_shortened_or_altered_refresh_token_is_nothing(house: House, cut: int) -> None:
    token = str(house.tokens()["refresh_token"])
    for bad in (token[:-cut], token + "=", token + "A", token.swapcase(), token[cut:], " " + token):
        assert house.refresh(PRINT_SHOP, bad).json["error"] == "invalid_grant"
    assert house.refresh(PRINT_SHOP, token).status == 200


def test_a_narrower_scope_narrows_that_access_token_only(house: House) -> None:
    token = str(house.tokens()["refresh_token"])
    narrow = house.refresh(PRINT_SHOP, token, scope="photos.read").json
    assert narrow["scope"] == "photos.read"
    assert "id_token" not in narrow
    wide = house.refresh(PRINT_SHOP, str(narrow["refresh_token"])).json
    assert str(wide["scope"]).split() == list(PRINT_SHOP.scopes)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"scope": "photos.write"}, "invalid_scope"),
        ({"scope": "photos.read email"}, "invalid_scope"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"refresh_token": None}, "invalid_request"),
    ],
)
def test_a_bad_refresh_rotates_nothing(house: House, changed: dict[str, str | None], error: str) -> None:
    token = str(house.tokens()["refresh_token"])
    assert house.refresh(PRINT_SHOP, token, **changed).json["error"] == error
    (family,) = house.tables.families.values()
    assert family.generation == 1


def test_what_the_client_lost_since_it_gets_no_more(house: House) -> None:
    token = str(house.tokens()["refresh_token"])
    house.tables.clients[PRINT_SHOP.id] = msgspec.structs.replace(PRINT_SHOP, scopes=("openid",))
    assert house.refresh(PRINT_SHOP, token).json["scope"] == "openid"


def test_a_client_that_is_gone_or_disabled_gets_nothing(house: House) -> None:
    def ask() -> int:
        return house.as_client(AGENT, "/token", {"grant_type": "client_credentials"}).status

    assert ask() == 200
    house.tables.clients[AGENT.id] = msgspec.structs.replace(AGENT, disabled=True)
    assert ask() == 401
    del house.tables.clients[AGENT.id]
    assert ask() == 401


def test_tokens_from_before_a_restore_are_refused_quietly_and_later_ones_loudly(house: House) -> None:
    token = str(house.tokens()["refresh_token"])
    house.store.current_epoch = 2
    assert house.refresh(PRINT_SHOP, token).json["error"] == "invalid_grant"
    assert "database.went_back" not in house.events()
    house.store.current_epoch = 0
    assert house.refresh(PRINT_SHOP, token).json["error"] == "invalid_grant"
    assert "database.went_back" in house.events()


def test_client_credentials_are_the_clients_own(house: House) -> None:
    answer = house.as_client(AGENT, "/token", {"grant_type": "client_credentials"}).json
    claims = house.claims(str(answer["access_token"]), audience=APP)
    assert claims["sub"] == claims["client_id"] == AGENT.id
    assert claims["gid"] == claims["jti"]
    assert answer["scope"] == "photos.read photos.write"
    assert "refresh_token" not in answer
    assert house.userinfo(str(answer["access_token"])).status == 403


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"scope": "openid"}, "invalid_scope"),
        ({"scope": "photos.read other"}, "invalid_scope"),
        ({"resource": "https://third.example"}, "invalid_target"),
    ],
)
def test_client_credentials_reach_no_further(house: House, form: dict[str, str], error: str) -> None:
    answer = house.as_client(AGENT, "/token", {"grant_type": "client_credentials", **form})
    assert (answer.status, answer.json["error"]) == (400, error)


def test_a_named_resource_becomes_the_audience(house: House) -> None:
    form = {"grant_type": "client_credentials", "resource": "https://other.example"}
    claims = house.claims(str(house.as_client(AGENT, "/token", form).json["access_token"]))
    assert claims["aud"] == ["https://other.example"]


def test_a_client_that_looks_like_a_person_gets_nothing(house: House) -> None:
    twin = msgspec.structs.replace(AGENT, id=str(USER.id))
    house.tables.clients[twin.id] = twin
    form = {"grant_type": "client_credentials"}
    assert house.as_client(twin, "/token", form).json["error"] == "unauthorized_client"


@pytest.mark.parametrize(
    ("grant_type", "error"),
    [
        ("password", "unsupported_grant_type"),
        ("implicit", "unsupported_grant_type"),
        ("client_credentials", "unauthorized_client"),
        ("", "invalid_request"),
    ],
)
def test_other_grants(house: House, grant_type: str, error: str) -> None:
    answer = house.as_client(PRINT_SHOP, "/token", {"grant_type": grant_type})
    assert (answer.status, answer.json["error"]) == (400, error)


def test_unknown_client_wrong_secret_wrong_method_and_disabled_are_told_alike(house: House) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    house.tables.clients["off"] = msgspec.structs.replace(PRINT_SHOP, id="off", disabled=True)
    answers = [
        house.post("/token", form, authorization=basic("nobody", SECRET)),
        house.post("/token", form, authorization=basic(PRINT_SHOP.id, SECRET[:-1])),
        house.post("/token", form, authorization=basic("off", SECRET)),
        house.post("/token", {**form, "client_id": PRINT_SHOP.id, "client_secret": SECRET}),
        house.post("/token", {**form, "client_id": PRINT_SHOP.id}),
        house.post("/token", {**form, "client_id": BFF.id}),
        house.post("/token", form, authorization="Bearer x"),
        house.post("/token", form, authorization="Basic %%%"),
        house.post("/token", form),
    ]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert all((answer.header("www-authenticate") or "").startswith("Basic ") for answer in answers)
    assert house.events().count("client.refused") == 6


def test_two_methods_at_once_and_secrets_in_the_query_are_refused(house: House) -> None:
    form = {"grant_type": "client_credentials"}
    authorization = basic(PRINT_SHOP.id, SECRET)
    both = house.post("/token", {**form, "client_secret": SECRET}, authorization=authorization)
    two = house.post("/token", {**form, "client_id": BFF.id}, authorization=authorization)
    query = house.post(f"/token?client_secret={SECRET}", {**form, "client_id": PRINT_SHOP.id})
    twice = house.post("/token?grant_type=client_credentials", form, authorization=authorization)
    for answer in (both, two, query, twice):
        assert (answer.status, answer.json["error"]) == (400, "invalid_request")


def test_the_token_endpoint_takes_posted_forms_only(house: House) -> None:
    assert house.call("GET", "/token?grant_type=client_credentials").status == 405
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", f"{FORM}; charset=latin-1", ""):
        answer = house.call("POST", "/token", headers={"content-type": kind}, body=b"grant_type=refresh_token")
        assert (answer.status, answer.json["error"]) == (400, "invalid_request")


def test_revoking_a_refresh_token_ends_the_family_with_its_access(house: House) -> None:
    tokens = house.tokens()
    answer = house.as_client(PRINT_SHOP, "/revoke", {"token": str(tokens["refresh_token"])})
    assert (answer.status, answer.body) == (200, b"")
    assert house.refresh(PRINT_SHOP, str(tokens["refresh_token"])).status == 400
    assert house.userinfo(str(tokens["access_token"])).status == 401
    assert "token.revoked" in house.events()
    assert house.tables.sessions, "the sign-on session stays"


def test_revoking_an_access_token_ends_what_it_hangs_on(house: House) -> None:
    tokens = house.tokens()
    form = {"token": str(tokens["access_token"]), "token_type_hint": "refresh_token"}
    house.as_client(PRINT_SHOP, "/revoke", form)
    assert not house.tables.families
    own = str(house.as_client(AGENT, "/token", {"grant_type": "client_credentials"}).json["access_token"])
    house.as_client(AGENT, "/revoke", {"token": own})
    assert UUID(str(house.claims(own)["jti"])) in house.tables.ended


def test_revoking_what_is_not_ones_own_changes_nothing_and_tells_nothing(house: House) -> None:
    tokens = house.tokens(PRINT_SHOP)
    for token in (str(tokens["refresh_token"]), str(tokens["access_token"]), "rubbish", "bzr_rubbish"):
        answer = house.as_client(AGENT, "/revoke", {"token": token})
        assert (answer.status, answer.body) == (200, b"")
    assert house.refresh(PRINT_SHOP, str(tokens["refresh_token"])).status == 200


def introspected(house: House, token: object) -> dict[str, object]:
    return house.as_client(PRINT_SHOP, "/introspect", {"token": str(token)}).json


def test_introspection_of_living_tokens(house: House) -> None:
    tokens = house.tokens()
    access = introspected(house, tokens["access_token"])
    assert access["active"] is True
    assert access["iss"] == ISSUER
    assert access["sub"] == str(USER.id)
    assert "gid" not in access
    assert introspected(house, tokens["refresh_token"])["token_type"] == "refresh_token"


def test_introspection_of_everything_else(house: House) -> None:
    tokens = house.tokens()
    second = house.refresh(PRINT_SHOP, str(tokens["refresh_token"])).json
    third = house.refresh(PRINT_SHOP, str(second["refresh_token"])).json
    bff = house.tokens(BFF)
    elsewhere = {"grant_type": "client_credentials", "resource": "https://other.example"}
    other = house.as_client(AGENT, "/token", elsewhere).json
    for token in (tokens["refresh_token"], bff["refresh_token"], other["access_token"], "rubbish", bff["id_token"]):
        assert introspected(house, token) == introspection.INACTIVE
    assert introspected(house, second["refresh_token"])["active"] is True, "its successor may have been lost"
    house.as_client(PRINT_SHOP, "/revoke", {"token": str(third["refresh_token"])})
    assert introspected(house, third["access_token"]) == introspection.INACTIVE
    assert introspected(house, third["refresh_token"]) == introspection.INACTIVE


def test_introspection_needs_a_client_that_proved_itself(house: House) -> None:
    assert house.post("/introspect", {"token": "x"}).status == 401
    assert house.as_client(PHONE, "/introspect", {"token": "x"}).status == 401


def test_access_tokens_expire(house: House) -> None:
    tokens = house.tokens()
    house.later(306)
    assert house.userinfo(str(tokens["access_token"])).status == 401
    assert introspected(house, tokens["access_token"]) == introspection.INACTIVE


def test_userinfo_tells_what_the_scopes_open(house: House) -> None:
    assert house.userinfo(str(house.tokens(PRINT_SHOP)["access_token"])).json == {"sub": str(USER.id), "name": "Ada"}
    assert house.userinfo(str(house.tokens(BFF)["access_token"])).json["email"] == USER.email


def test_userinfo_challenges(house: House) -> None:
    nothing = house.userinfo(None)
    assert nothing.status == 401
    assert "error" not in (nothing.header("www-authenticate") or "error")
    assert 'error="invalid_token"' in (house.userinfo("rubbish").header("www-authenticate") or "")
    narrow = house.tokens(PRINT_SHOP, scope="photos.read")
    answer = house.userinfo(str(narrow["access_token"]))
    assert answer.status == 403
    assert 'error="insufficient_scope"' in (answer.header("www-authenticate") or "")
    assert house.userinfo(str(house.tokens()["id_token"])).status == 401, "an ID token is no access token"


def test_userinfo_of_someone_locked(house: House) -> None:
    token = str(house.tokens()["access_token"])
    house.tables.users[USER.id] = msgspec.structs.replace(USER, disabled=True)
    assert house.userinfo(token).status == 401


def test_a_cookie_token_only_reads_userinfo(house: House) -> None:
    token = str(house.tokens(BFF)["access_token"])
    assert house.userinfo(token).status == 200
    assert house.userinfo(token, method="POST").status == 401
    assert house.userinfo(str(house.tokens(PRINT_SHOP)["access_token"]), method="POST").status == 200


def test_a_token_in_query_or_body_is_no_token(house: House) -> None:
    token = str(house.tokens()["access_token"])
    assert house.call("GET", f"/userinfo?access_token={token}").status == 401
    body = f"access_token={token}".encode()
    headers = {"content-type": FORM, "authorization": f"Bearer {token}"}
    assert house.call("POST", "/userinfo", headers=headers, body=body).status == 400


def test_a_family_whose_key_left_the_ring_says_nothing(house: House) -> None:
    house.tokens()
    (family,) = house.tables.families.values()
    lost = refresh.RefreshToken("lostkey1", 1, family.id, 1)
    assert refresh.encode(house.ports.ring.purpose("refresh"), lost) is None
