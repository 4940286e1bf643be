"""Story 2: cookie mode. No token is visible to script; forged requests are refused at two walls; expiry is not felt."""

from __future__ import annotations

import base64
import json
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect
from tests.browser import steps
from tests.browser.evil import evil_site
from tests.browser.site import Site
from tests.browser.wire import Answer, cookie_header, send

pytestmark = [pytest.mark.stack, pytest.mark.browser]

EVERYTHING_SCRIPT_CAN_SEE = """async () => {
  const seen = [document.cookie, location.href, JSON.stringify(localStorage), JSON.stringify(sessionStorage)];
  for (const one of await indexedDB.databases()) seen.push(JSON.stringify(one));
  for (const name of await caches.keys()) seen.push(name);
  for (const path of ['/bff/session', '/api/photos', '/api/whoami', '/files']) {
    const answer = await fetch(path);
    seen.push(path, await answer.text(), JSON.stringify([...answer.headers]));
  }
  for (const key of Object.keys(window)) {
    try { seen.push(key + '=' + JSON.stringify(window[key])); } catch (error) { seen.push(key); }
  }
  return seen.join('\\n');
}"""


def test_upload_list_delete_and_no_token_is_visible_to_script(page: Page, site: Site, tmp_path: Path) -> None:
    bodies: list[str] = []
    page.on(
        "response",
        lambda answer: bodies.append(answer.text()) if "json" in answer.headers.get("content-type", "") else None,
    )
    steps.sign_up(page, site, *steps.new_person())
    photo = steps.upload(page, steps.picture(tmp_path / "a.jpg"))
    page.reload()
    expect(page.locator(f"#{photo}")).to_be_visible()
    found = steps.cookies(page.context, site)
    secrets = [found["at"]["value"], found["rt"]["value"], found["at"]["value"].split(".")[2]]
    visible = page.evaluate(EVERYTHING_SCRIPT_CAN_SEE)
    for secret in secrets:
        assert secret not in visible
        assert not any(secret in body for body in bodies)
    assert "bzr_" not in visible
    for name in ("at", "rt"):
        assert found[name]["httpOnly"]
        assert found[name]["secure"]
        assert found[name]["sameSite"] == "Strict"
        assert found[name]["path"] == "/"
    page.locator(f"#delete-{photo.removeprefix('photo-')}").click()
    expect(page.locator(f"#{photo}")).to_have_count(0, timeout=steps.TINY)


@pytest.fixture(scope="module")
def signed_in(browser: Browser, site: Site) -> BrowserContext:
    context = browser.new_context()
    steps.sign_up(context.new_page(), site, *steps.new_person())
    return context


def _jar(context: BrowserContext, site: Site) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in context.cookies(site.app)}


def _photos(context: BrowserContext, site: Site) -> list[object]:
    answer = send("GET", f"{site.app}/api/photos", headers={"Cookie": cookie_header(_jar(context, site))})
    assert answer.status == 200, answer.body
    rows = answer.json()["photos"]
    assert isinstance(rows, list)
    return rows


def _note_post(posted: list[int], answer: Response) -> None:
    if answer.request.method == "POST":
        posted.append(answer.status)


def _post(site: Site, jar: dict[str, str], headers: dict[str, str], *, unix: str | None = None) -> Answer:
    body = json.dumps({"title": "forged", "file_id": "01900000-0000-7000-8000-000000000000"}).encode()
    sent = {"Content-Type": "application/json", "Cookie": cookie_header(jar), **headers}
    return send("POST", f"{site.app}/api/photos", headers=sent, body=body, unix=unix)


def test_forged_posts_are_refused_at_the_gateway(signed_in: BrowserContext, site: Site) -> None:
    jar = _jar(signed_in, site)
    csrf = steps.cookies(signed_in, site)["csrf"]["value"]
    before = _photos(signed_in, site)
    same = {"Sec-Fetch-Site": "same-origin", "Origin": site.app}
    forged = {
        "no token": same,
        "wrong token": {**same, "X-CSRF-Token": "x" * len(csrf)},
        "two tokens": {**same, "X-CSRF-Token": f"{csrf}, {csrf}"},
        "another site": {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.localhost", "X-CSRF-Token": csrf},
        "a sibling": {"Sec-Fetch-Site": "same-site", "Origin": "http://evil.app.localhost", "X-CSRF-Token": csrf},
        "no origin at all": {"X-CSRF-Token": csrf},
        "null origin": {"Origin": "null", "X-CSRF-Token": csrf},
    }
    for name, headers in forged.items():
        assert _post(site, jar, headers).status == 403, name
    assert _photos(signed_in, site) == before
    # The same request with all that it needs reaches the handler (which knows no such file): the refusals above
    # were not for another reason.
    assert _post(site, jar, {**same, "X-CSRF-Token": csrf}).status in (201, 400, 404, 422)


def test_the_guard_refuses_too_when_the_gateway_is_bypassed(
    signed_in: BrowserContext, site: Site, app_door: str | None
) -> None:
    token = steps.cookies(signed_in, site)["at"]["value"]
    csrf = steps.cookies(signed_in, site)["csrf"]["value"]
    before = _photos(signed_in, site)
    same = {"Sec-Fetch-Site": "same-origin", "Origin": site.app, "Authorization": f"Bearer {token}"}
    for name, headers in {
        "no token": same,
        "wrong token": {**same, "X-CSRF-Token": "x" * len(csrf)},
        "another site": {**same, "Sec-Fetch-Site": "cross-site", "X-CSRF-Token": csrf},
    }.items():
        assert _post(site, {}, headers, unix=app_door).status == 403, name
    cookie_only = {"Sec-Fetch-Site": "same-origin", "Origin": site.app, "X-CSRF-Token": csrf}
    jar = _jar(signed_in, site)
    assert _post(site, jar, cookie_only, unix=app_door).status == 401, "the guard never reads a cookie as authority"
    assert _photos(signed_in, site) == before


def test_a_form_on_another_site_and_on_a_sibling_changes_nothing(
    browser: Browser, signed_in: BrowserContext, site: Site
) -> None:
    before = _photos(signed_in, site)
    with evil_site() as evil:
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain"):
            evil.pages["/form"] = (
                f'<!doctype html><form id=f method=post enctype="{kind}" action="{site.app}/views/photos">'
                "<input name=title value=forged><input name=file_id value=1></form><script>f.submit()</script>"
            )
            for host in ("evil.localhost", "evil.app.localhost"):
                page = signed_in.new_page()
                posted: list[int] = []
                page.on("response", partial(_note_post, posted))
                page.goto(f"{evil.origin(host)}/form")
                page.wait_for_url(f"{site.app}/views/photos")
                assert posted, (kind, host)
                assert set(posted) <= {401, 403}, (kind, host, posted)
                page.close()
    assert _photos(signed_in, site) == before


def test_who_arrives_by_a_link_from_another_site_is_signed_in(signed_in: BrowserContext, site: Site) -> None:
    """Strict cookies do not travel with that first request; the page itself and the rendered view show the person."""
    with evil_site() as evil:
        for path, sees in (("/", "#sign-out"), ("/views/photos", "#sign-out")):
            evil.pages["/link"] = f'<!doctype html><a id=go href="{site.app}{path}">go</a>'
            page = signed_in.new_page()
            page.goto(f"{evil.origin()}/link")
            page.locator("#go").click()
            page.wait_for_url(f"{site.app}{path}")
            expect(page.locator(sees)).to_be_visible(timeout=steps.TINY)
            page.close()


def test_past_expiry_a_click_a_form_and_an_upload_go_on(page: Page, site: Site, tmp_path: Path) -> None:
    steps.sign_up(page, site, *steps.new_person())
    steps.expire_access(page.context, site)
    steps.upload(page, steps.picture(tmp_path / "late.jpg"))

    page.goto(f"{site.app}/views/photos")
    steps.expire_access(page.context, site)
    page.locator("#add-title").fill("posted after expiry")
    page.locator("#add").click()
    expect(page.locator("body")).to_contain_text("posted after expiry")

    steps.expire_access(page.context, site)
    page.goto(f"{site.app}/views/photos")
    expect(page.locator("body")).to_contain_text("posted after expiry")
    assert "/bff/" not in page.url


def test_a_call_of_a_script_that_knows_nothing_of_us_is_renewed_by_redirect(page: Page, site: Site) -> None:
    """307 there and back, body and all (flows §4)."""
    steps.sign_up(page, site, *steps.new_person())
    csrf = steps.cookies(page.context, site)["csrf"]["value"]
    steps.expire_access(page.context, site)
    got = page.evaluate(
        """async csrf => {
          const calls = Array.from({length: 20}, () => fetch('/api/whoami').then(answer => answer.status));
          calls.push(fetch('/api/echo', {method: 'POST', headers: {'X-CSRF-Token': csrf, 'Content-Type': 'application/json'},
            body: JSON.stringify({long: 'x'.repeat(100000)})}).then(async answer => [answer.status, (await answer.json()).length]));
          return Promise.all(calls);
        }""",
        csrf,
    )
    assert got[:20] == [200] * 20
    assert got[20][0] == 200
    assert got[20][1] > 100_000


def test_the_access_token_holds_no_personal_data(signed_in: BrowserContext, site: Site) -> None:
    """Anyone who gets hold of it can read it (decision 0004)."""
    body = steps.cookies(signed_in, site)["at"]["value"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert set(claims) == {
        "iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti", "gid", "auth_time", "csrf",
    }  # fmt: skip
    assert claims["iss"] == site.id
    assert 240 <= claims["exp"] - claims["iat"] <= 300
    assert "@" not in json.dumps(claims)
