"""OAuth 2.1 §4.1 over the whole in-memory server: from the authorization request to tokens, and every way it fails."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import msgspec
import pytest
from tests.unit.auth.house import (
    APP,
    BFF,
    CSRF,
    ISSUER,
    OTHER_SECRET,
    PHONE,
    PRINT_BACK,
    PRINT_SHOP,
    SECRET,
    SETTINGS,
    USER,
    House,
    asked,
    back,
)

from bartizan.auth import endpoints, server
from bartizan.auth.server import PATHS
from bartizan.model.clients import AuthMethod, Client
from bartizan.model.route import Origin, Who
from bartizan.protocol import secrets
from bartizan.protocol.oauth import pkce

NOT_YET = msgspec.structs.replace(
    PRINT_SHOP, id="by-post", auth_method=AuthMethod.POST, secret_fingerprint=secrets.fingerprint(OTHER_SECRET)
)


@pytest.fixture
def house() -> Iterator[House]:
    with House() as made:
        yield made


def test_nobody_signed_in_goes_to_the_sign_in_page(house: House) -> None:
    answer = house.authorize()
    assert (answer.status, answer.header("location")) == (303, "/signin")
    assert SETTINGS.cookies.ix in house.cookies
    cookie = answer.all("set-cookie")[0]
    assert "HttpOnly" in cookie
    assert "Secure" in cookie
    assert "SameSite=Lax" in cookie
    assert cookie.startswith("__Host-")


def test_signed_in_without_consent_goes_to_the_consent_page(house: House) -> None:
    house.sign_in()
    assert house.authorize().header("location") == "/consent"


def test_first_party_with_a_session_gets_its_code_at_once(house: House) -> None:
    house.sign_in()
    answer = house.open(BFF, house.push())
    sent = back(answer)
    assert answer.status == 303
    assert (answer.header("location") or "").startswith(f"{APP}/bff/callback?")
    assert sent["iss"] == ISSUER
    assert sent["state"] == "the state"
    assert sent["code"].startswith("bzc_")
    assert house.events()[-1] == "code.issued"


def test_a_code_becomes_tokens_that_say_what_they_are(house: House) -> None:
    tokens = house.tokens(BFF)
    claims = house.claims(str(tokens["access_token"]), audience=APP)
    assert claims["sub"] == str(USER.id)
    assert claims["csrf"] == CSRF
    assert claims["client_id"] == BFF.id
    assert claims["gid"] == str(next(iter(house.tables.families)))
    assert 240 <= int(str(claims["exp"])) - int(str(claims["iat"])) <= 300
    identity = house.claims(str(tokens["id_token"]), typ="JWT", audience=BFF.id)
    assert identity["nonce"] == "the-nonce"
    assert identity["email"] == USER.email
    assert identity["sid"] == str(next(iter(house.tables.sessions)))


def test_memory_mode_and_third_parties_get_no_csrf_claim(house: House) -> None:
    assert "csrf" not in house.claims(str(house.tokens(PRINT_SHOP)["access_token"]))
    memory = msgspec.structs.replace(BFF, mode="memory")
    house.tables.clients[BFF.id] = memory
    assert "csrf" not in house.claims(str(house.tokens(BFF)["access_token"]))


def test_id_token_has_only_what_the_scopes_open(house: House) -> None:
    identity = house.claims(str(house.tokens(PRINT_SHOP)["id_token"]), typ="JWT", audience=PRINT_SHOP.id)
    assert identity["name"] == "Ada"
    assert "email" not in identity


def test_a_code_that_comes_back_ends_what_it_bought(house: House) -> None:
    code = house.code()
    first = house.redeem(PRINT_SHOP, code).json
    again = house.redeem(PRINT_SHOP, code)
    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    assert "code.replayed" in house.events()
    assert house.refresh(PRINT_SHOP, str(first["refresh_token"])).json["error"] == "invalid_grant"
    assert house.userinfo(str(first["access_token"])).status == 401


def test_a_stranger_can_neither_redeem_nor_burn_a_code(house: House) -> None:
    code = house.code()
    wrong = [
        house.redeem(BFF, code, redirect_uri=PRINT_BACK),
        house.redeem(PRINT_SHOP, code, code_verifier="w" * 43),
        house.redeem(PRINT_SHOP, code, redirect_uri="http://print.localhost:8080/other"),
        house.redeem(PRINT_SHOP, code, redirect_uri=None, code_verifier="x" * 128),
    ]
    assert {answer.json["error"] for answer in wrong} == {"invalid_grant"}
    assert len({answer.body for answer in wrong}) == 1, "every cause is told alike"
    assert house.redeem(PRINT_SHOP, code).status == 200


@pytest.mark.parametrize("thief", [BFF, PHONE, NOT_YET])
def test_a_code_is_bound_to_its_client_however_the_other_one_authenticates(house: House, thief: Client) -> None:
    """Attack T2: by basic, by nothing at all, by post."""
    house.tables.clients[NOT_YET.id] = NOT_YET
    tokens, code = house.tokens(), house.code()
    assert house.redeem(thief, code, redirect_uri=PRINT_BACK).json["error"] == "invalid_grant"
    assert house.refresh(thief, str(tokens["refresh_token"])).json["error"] == "invalid_grant"
    assert house.redeem(PRINT_SHOP, code).status == 200
    assert house.refresh(PRINT_SHOP, str(tokens["refresh_token"])).status == 200


def test_a_native_app_needs_no_secret_and_its_code_still_its_verifier(house: House) -> None:
    code = house.code(PHONE)
    assert house.redeem(PHONE, code, code_verifier="z" * 43).json["error"] == "invalid_grant"
    assert house.redeem(PHONE, code, client_secret=SECRET).json["error"] == "invalid_client"
    tokens = house.redeem(PHONE, code).json
    assert house.refresh(PHONE, str(tokens["refresh_token"])).status == 200


def test_a_client_without_the_refresh_grant_gets_no_refresh_token(house: House) -> None:
    house.tables.clients[PRINT_SHOP.id] = msgspec.structs.replace(PRINT_SHOP, grants=("authorization_code",))
    tokens = house.tokens(PRINT_SHOP)
    assert "refresh_token" not in tokens
    (family,) = house.tables.families.values()
    assert (family.idle_until - family.created_at).total_seconds() == SETTINGS.access_token_lifetime
    house.consent(PRINT_SHOP)
    house.as_client(PRINT_SHOP, "/revoke", {"token": str(tokens["access_token"])})
    assert house.userinfo(str(tokens["access_token"])).status == 401


def test_the_redirect_uri_need_not_come_again(house: House) -> None:
    assert house.redeem(PRINT_SHOP, house.code(), redirect_uri=None).status == 200


def test_a_code_lives_for_a_minute(house: House) -> None:
    code = house.code()
    house.later(61)
    assert house.redeem(PRINT_SHOP, code).json["error"] == "invalid_grant"


def test_a_code_of_someone_signed_out_or_locked_buys_nothing(house: House) -> None:
    code = house.code()
    house.tables.users[USER.id] = msgspec.structs.replace(USER, disabled=True)
    assert house.redeem(PRINT_SHOP, code).json["error"] == "invalid_grant"
    house.tables.users[USER.id] = USER
    house.end_session()
    assert house.redeem(PRINT_SHOP, code).json["error"] == "invalid_grant"
    assert not house.tables.families


def test_offline_access_hangs_on_consent_and_everything_else_on_the_session(house: House) -> None:
    house.tokens(PRINT_SHOP)
    (offline,) = house.tables.families.values()
    assert offline.session_id is None
    house.tokens(PRINT_SHOP, scope="openid photos.read")
    assert len([family for family in house.tables.families.values() if family.session_id is not None]) == 1


def test_a_native_app_may_vary_the_port_of_its_loopback(house: House) -> None:
    house.sign_in()
    house.consent(PHONE)
    answer = house.authorize(PHONE, redirect_uri="http://127.0.0.1:50123/cb")
    assert (answer.header("location") or "").startswith("http://127.0.0.1:50123/cb?code=")


def test_a_pushed_request_is_opened_once(house: House) -> None:
    request_uri = house.push()
    assert house.open(BFF, request_uri).header("location") == "/signin"
    reloaded = house.open(BFF, request_uri)
    assert reloaded.header("location") == "/signin", "a reload in this browser goes on"
    house.cookies.clear()
    assert house.open(BFF, request_uri).status == 400, "elsewhere it is spent"


def test_a_pushed_request_is_its_clients_alone_and_dies_in_a_minute(house: House) -> None:
    request_uri = house.push()
    assert house.open(PRINT_SHOP, request_uri).status == 400
    house.later(61)
    assert house.open(BFF, request_uri).status == 400


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "photos.write"}, "invalid_scope"),
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "dance"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"nonce": "n" * 513}, "invalid_request"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"resource": "not a uri"}, "invalid_target"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
    ],
)
def test_a_fault_after_client_and_redirect_were_checked_goes_back(
    house: House, changed: dict[str, str | None], error: str
) -> None:
    answer = house.authorize(PRINT_SHOP, **changed)
    assert answer.status == 303
    assert (answer.header("location") or "").startswith(PRINT_BACK + "?")
    sent = back(answer)
    assert (sent["error"], sent["state"], sent["iss"]) == (error, "the state", ISSUER)
    assert "code" not in sent
    assert not house.tables.interactions


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": "http://print.localhost:8080/callback/"},
        {"redirect_uri": "http://print.localhost:8080/callback?x=1"},
        {"redirect_uri": "http://print.localhost:8080@evil.example/callback"},
        {"redirect_uri": "http://PRINT.localhost:8080/callback"},
        {"state": "s" * 2049},
        {"state": "ü"},
        {"request_uri": "https://evil.example/request"},
        {"request_uri": "urn:ietf:params:oauth:request_uri:bzp_unknown"},
        {"scope": "a\nb"},
    ],
)
def test_a_fault_before_that_redirects_nowhere(house: House, changed: dict[str, str | None]) -> None:
    answer = house.authorize(PRINT_SHOP, **changed)
    assert answer.status == 400
    assert answer.header("location") is None
    assert not house.tables.interactions


def test_repeated_and_wrongly_encoded_parameters_redirect_nowhere(house: House) -> None:
    good = urlencode(asked(PRINT_SHOP))
    for bad in ("&state=again", "&client_id=print-shop", "&unknown=%zz", "&unknown=%ff", "&x=%00", "&a=1&a=2"):
        answer = house.call("GET", f"/authorize?{good}{bad}")
        assert (answer.status, answer.header("location")) == (400, None), bad
    assert house.call("GET", f"/authorize?{good}&unknown=1").status == 303
    assert house.call("GET", f"/authorize?{good}&prompt=").status == 303, "empty is absent"


def test_the_error_page_of_authorize_is_a_page(house: House) -> None:
    answer = house.call("GET", "/authorize?client_id=nobody", headers={"accept": "text/html"})
    assert answer.status == 400
    assert "text/html" in (answer.header("content-type") or "")
    assert answer.header("access-control-allow-origin") is None


def test_only_the_bff_starts_a_sign_in_for_its_app(house: House) -> None:
    house.sign_in()
    assert back(house.authorize(BFF))["error"] == "invalid_request"


def test_cookie_tokens_are_for_the_bff_alone(house: House) -> None:
    house.sign_in()
    house.consent(PRINT_SHOP)
    code = back(house.authorize(PRINT_SHOP, bz_csrf=CSRF))["code"]
    assert "csrf" not in house.claims(str(house.redeem(PRINT_SHOP, code).json["access_token"]))


def test_post_works_as_get_does(house: House) -> None:
    body = urlencode(asked(PRINT_SHOP)).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert house.call("POST", "/authorize", headers=headers, body=body).header("location") == "/signin"


def test_each_endpoint_is_one_row(house: House) -> None:
    rows = endpoints.routes(server.build(SETTINGS, house.ports))
    assert sorted(row.path for row in rows) == sorted(
        path for path in msgspec.structs.astuple(PATHS) if path != PATHS.logout
    ), "the page of signing out is a page"
    for row in rows:
        assert row.origin is Origin.ID
        assert row.who is not Who.CLIENT or row.methods == ("POST",)
        assert row.body_limit <= 16 * 1024
        assert row.cors in ("", "public", "clients")
        assert row.cors != "public" or row.methods == ("GET",)


def test_a_verifier_has_one_room() -> None:
    assert pkce.matches("v" * 43, pkce.challenge("v" * 43))
