"""Flows §5: `/bff/login` and `/bff/callback`, with the real auth server behind them."""

from __future__ import annotations

from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import pytest
from tests.unit.auth.house import APP, BFF, ISSUER, RING, basic
from tests.unit.frontend.house import (
    AT,
    CLICKED,
    CSRF,
    FROM_ELSEWHERE,
    LOGIN,
    RT,
    SCRIPT,
    TYPED,
    Browser,
    read_cookies,
)

from bartizan.model.clients import Mode
from bartizan.protocol import secrets

HIDDEN = frozenset({"Path=/", "Secure", "HttpOnly"})


def changed(back: str, **parameters: str) -> str:
    path, _, query = back.partition("?")
    return f"{path}?{urlencode({**dict(parse_qsl(query)), **parameters})}"


def test_the_request_is_pushed_and_the_browser_carries_a_handle() -> None:
    with Browser() as browser:
        answer = browser.call("GET", "/bff/login?return_to=/photos?a=1&b=2", TYPED)
        address = urlsplit(answer.header("location") or "")
        assert (answer.status, f"{address.scheme}://{address.netloc}{address.path}") == (303, f"{ISSUER}/authorize")
        assert set(parse_qs(address.query)) == {"client_id", "request_uri"}
        (pushed,) = browser.wire.asked
        assert pushed.path == "/par"
        secret = secrets.client_secret(RING.purpose("client"), BFF.id)
        assert dict(pushed.headers)["authorization"] == basic(BFF.id, secret)
        form = dict(parse_qsl(pushed.body.decode()))
        assert form["code_challenge_method"] == "S256"
        assert form["redirect_uri"] == f"{APP}/bff/callback"
        assert len(form["code_challenge"]) == 43
        assert len({form[name] for name in ("state", "nonce", "bz_csrf")}) == 3
        assert all(len(form[name]) >= 22 for name in ("state", "nonce", "bz_csrf"))


def test_the_login_cookie() -> None:
    with Browser() as browser:
        cookies = read_cookies(browser.call("GET", "/bff/login?return_to=/", TYPED))
        ((name, cookie),) = cookies.items()
        assert name.startswith(LOGIN)
        assert cookie.attributes == HIDDEN | {"SameSite=Lax"}
        assert cookie.max_age == 600


def test_memory_mode_asks_for_no_cookie_token() -> None:
    with Browser(Mode.MEMORY) as browser:
        browser.begin()
        assert "bz_csrf" not in dict(parse_qsl(browser.wire.asked[0].body.decode()))


def test_eight_sign_ins_at_once_and_the_oldest_goes() -> None:
    with Browser() as browser:
        first = browser.approve(browser.begin())
        for _ in range(8):
            browser.later(1)
            browser.begin()
            assert sum(name.startswith(LOGIN) for name in browser.cookies) <= 8
        browser.cookies[LOGIN + "1" + "x" * 22] = "rubbish"
        browser.begin()
        assert LOGIN + "1" + "x" * 22 not in browser.cookies
        assert LOGIN + dict(parse_qsl(first))["state"] not in browser.cookies


@pytest.mark.parametrize(
    "headers",
    [
        SCRIPT,
        {**TYPED, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {**TYPED, "sec-fetch-dest": "iframe"},
        {**TYPED, "sec-purpose": "prefetch;prerender"},
        {"accept": "application/json"},
    ],
)
def test_sign_in_begins_with_a_document_alone(headers: dict[str, str]) -> None:
    with Browser() as browser:
        for path in ("/bff/login?return_to=/", "/bff/callback?code=c&state=s"):
            answer = browser.call("GET", path, headers)
            assert answer.status == 403
            assert not answer.all("set-cookie")
        assert browser.wire.asked == []


OUTWARD = ["//evil.example", "/\\evil.example", "/%5cevil.example", "/%2f/evil.example", "/%2fevil.example"]
OUTWARD += [
    "https://evil.example",
    "https:/evil.example",
    "javascript:alert(1)",
    "evil.example",
    "",
    "/.//evil.example",
]
OUTWARD += [
    "/a/..//evil.example",
    "/%09/evil.example",
    "/%0d%0aset-cookie:a=b",
    "/\t/evil.example",
    "/%252f/evil.example",
]
OUTWARD += ["/a%0a", "\\\\evil.example", "/..//evil.example", "@evil.example", ".evil.example"]


@pytest.mark.parametrize("outward", OUTWARD)
def test_no_return_to_leads_away(outward: str) -> None:
    with Browser() as browser:
        for path in ("/bff/login", "/bff/renew"):
            answer = browser.call("GET", f"{path}?return_to={outward}", FROM_ELSEWHERE)
            assert answer.status == 400, outward
            assert answer.header("location") is None
            assert answer.header("refresh") is None
            assert "evil" not in answer.text
        assert browser.wire.asked == []


def test_return_to_is_raw_to_the_end_and_comes_back_letter_by_letter() -> None:
    asked = "/a%20b/?q=%2F%2Fx&return_to=//evil.example&again=1;x=<b>'\"#part"
    with Browser() as browser:
        answer = browser.sign_in(asked)
        assert answer.header("refresh") == f"0; url={asked}"
        assert "<b>" not in answer.text


def test_callback_gives_the_cookies_and_never_redirects() -> None:
    with Browser() as browser:
        answer = browser.sign_in("/photos")
        assert answer.status == 200
        assert answer.header("cache-control") == "no-store"
        assert answer.header("referrer-policy") != "no-referrer"
        cookies = read_cookies(answer)
        assert cookies[AT].attributes == HIDDEN | {"SameSite=Strict"}
        assert 230 <= cookies[AT].max_age <= 300
        assert cookies[RT].attributes == HIDDEN | {"SameSite=Strict"}
        assert cookies[CSRF].attributes == {"Path=/", "Secure", "SameSite=Lax"}
        assert browser.auth.claims(cookies[AT].value)["csrf"] == cookies[CSRF].value
        assert [cookie.max_age for name, cookie in cookies.items() if name.startswith(LOGIN)] == [0]
        assert "bzr_" not in cookies[RT].value
        assert set(browser.cookies) == {AT, RT, CSRF}


def test_memory_mode_sets_no_access_cookie() -> None:
    with Browser(Mode.MEMORY) as browser:
        answer = browser.sign_in()
        assert set(browser.cookies) == {RT, CSRF}
        assert "eyJ" not in answer.text + browser.cookies[CSRF]


def test_a_callback_that_this_browser_did_not_begin_starts_once_afresh() -> None:
    with Browser() as thief, Browser() as victim:
        stolen = thief.approve(thief.begin("/thief"))
        answer = victim.call("GET", stolen, FROM_ELSEWHERE)
        assert (answer.status, answer.header("location")) == (303, "/bff/login?again=1&return_to=/")
        assert not answer.all("set-cookie")
        assert victim.wire.asked == []
        victim.call("GET", answer.header("location") or "", FROM_ELSEWHERE)
        victim.cookies.clear()  # it keeps none, and so would go round and round
        state = dict(parse_qsl(victim.wire.asked[0].body.decode()))["state"]
        second = victim.call("GET", f"/bff/callback?code=c&state={state}&iss={quote(ISSUER)}", FROM_ELSEWHERE)
        assert second.status == 400
        assert "no_cookies" in second.text
        assert second.header("refresh") is None


def test_a_login_cookie_holds_ten_minutes_and_for_its_own_state() -> None:
    with Browser() as browser:
        late = browser.approve(browser.begin())
        browser.later(601)
        assert browser.call("GET", late, FROM_ELSEWHERE).status == 303
        fresh = browser.approve(browser.begin())
        state = dict(parse_qsl(urlsplit(fresh).query))["state"]
        other = "1" + "z" * 22
        browser.cookies[LOGIN + other] = browser.cookies.pop(LOGIN + state)
        assert browser.call("GET", changed(fresh, state=other), FROM_ELSEWHERE).status == 303
        assert "/token" not in browser.wire.paths()


@pytest.mark.parametrize("issuer", ["", "https://evil.example", ISSUER + "/", ISSUER.upper()])
def test_another_issuer_gets_no_code(issuer: str) -> None:
    with Browser() as browser:
        back = browser.approve(browser.begin())
        answer = browser.call("GET", changed(back, iss=issuer), FROM_ELSEWHERE)
        assert answer.status == 400
        assert "/token" not in browser.wire.paths()
        assert browser.cookies == {}


@pytest.mark.parametrize(
    ("error", "code"),
    [("access_denied", "access_denied"), ("server_error", "server_error"), ("<b>", "invalid_response")],
)
def test_an_error_gets_a_page(error: str, code: str) -> None:
    with Browser() as browser:
        state = dict(parse_qsl(urlsplit(browser.approve(browser.begin("/a&b"))).query))["state"]
        query = urlencode({"error": error, "error_description": "<script>", "state": state, "iss": ISSUER})
        answer = browser.call("GET", f"/bff/callback?{query}", FROM_ELSEWHERE)
        assert answer.status in (400, 403)
        assert f'id="error-code">{code}<' in answer.text
        assert "<script>" not in answer.text
        assert browser.cookies == {}
        assert "/token" not in browser.wire.paths()


def test_a_code_serves_once() -> None:
    with Browser() as browser:
        back = browser.approve(browser.begin())
        kept = dict(browser.cookies)
        browser.call("GET", back, FROM_ELSEWHERE)
        browser.cookies = kept
        answer = browser.call("GET", back, FROM_ELSEWHERE)
        assert answer.status == 400
        assert "invalid_grant" in answer.text
        assert RT not in browser.cookies


def test_an_id_token_of_another_sign_in_is_refused() -> None:
    """A code that another sign-in of ours got, injected under this state: the verifier does not fit (RFC 7636)."""
    with Browser() as browser:
        other = dict(parse_qsl(urlsplit(browser.approve(browser.begin())).query))["code"]
        mine = browser.approve(browser.begin())
        answer = browser.call("GET", changed(mine, code=other), FROM_ELSEWHERE)
        assert answer.status == 400
        assert RT not in browser.cookies


def test_a_nonce_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from bartizan.frontend.auth_client import AuthServer

    real = AuthServer.identify

    async def with_another(self: AuthServer, id_token: str, nonce: str) -> object:
        return await real(self, id_token, nonce + "x")

    monkeypatch.setattr(AuthServer, "identify", with_another)
    with Browser() as browser:
        answer = browser.call("GET", browser.approve(browser.begin()), FROM_ELSEWHERE)
        assert answer.status == 400
        assert "invalid_response" in answer.text
        assert browser.cookies == {}


def test_auth_away_is_503_and_keeps_what_is_there() -> None:
    with Browser() as browser:
        back = browser.approve(browser.begin())
        before = dict(browser.cookies)
        browser.wire.cut = True
        for path in (back, "/bff/login?return_to=/"):
            answer = browser.call("GET", path, CLICKED)
            assert answer.status == 503
            assert answer.header("retry-after")
            assert not answer.all("set-cookie")
        assert browser.cookies == before
