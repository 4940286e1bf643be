"""Story 9: no full address is at rest anywhere; after 31 days the purge has removed the rest."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import pytest
from tests.browser import steps
from tests.browser.at_rest import AtRest
from tests.browser.site import Site
from tests.browser.wire import Answer, cookie_header, send

pytestmark = [pytest.mark.stack]

# A loopback address of which nobody else makes use: found anywhere at rest, it came from this test's requests.
HERE = "127.77.88.99"


class _Browser:
    """A cookie jar on `wire.send`, that comes from HERE."""

    def __init__(self) -> None:
        self.jar: dict[str, dict[str, str]] = {}

    def ask(self, method: str, url: str, fields: dict[str, str] | None = None) -> Answer:
        origin = "/".join(url.split("/")[:3])
        headers = {"Cookie": cookie_header(self.jar.get(origin, {})), "Accept": "text/html", "Origin": origin}
        headers["Sec-Fetch-Site"] = "same-origin"
        headers["Sec-Fetch-Mode"] = "navigate"
        headers["Sec-Fetch-Dest"] = "document"
        body = None
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(fields).encode()
        answer = send(method, url, headers=headers, body=body, source=HERE)
        for line in answer.all("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.jar.setdefault(origin, {})[name] = morsel.value
        return answer

    def follow(self, answer: Answer, origin: str) -> Answer:
        while location := answer.header("location"):
            url = location if location.startswith("http") else origin + location
            origin = "/".join(url.split("/")[:3])
            answer = self.ask("GET", url)
        return answer


def _sign_in_from_here(site: Site) -> str:
    email, password = steps.new_person()
    site.cli("user", "create", email, "--password-stdin", "--verified", stdin=password)
    browser = _Browser()
    page = browser.follow(browser.ask("GET", f"{site.app}/bff/login"), site.app)
    for tried in ("not the password at all", password):
        field = re.search(rb'name="csrf" value="([^"]+)"', page.body)
        assert field, page.body[:2000]
        fields = {"csrf": field[1].decode(), "identifier": email, "password": tried}
        page = browser.follow(browser.ask("POST", f"{site.id}/signin", fields), site.id)
    assert page.status == 200
    assert any("-at" in name for name in browser.jar[site.app]), "signed in"
    return email


def test_no_full_address_is_at_rest(site: Site, at_rest: AtRest) -> None:
    _sign_in_from_here(site)
    found = at_rest.everything()
    assert len(found) >= 3, "database, cache and logs were read"
    network = HERE.rpartition(".")[0] + ".0"
    for place, text in found.items():
        assert HERE not in text, f"a full address lies in {place}"
    assert any(network in text for text in found.values()), "the masked network is kept: the address did get that far"


def test_after_31_days_the_purge_has_removed_the_rest(site: Site, at_rest: AtRest) -> None:
    _sign_in_from_here(site)
    assert at_rest.count("SELECT count(*) FROM events WHERE network <> ''") > 0
    assert at_rest.count("SELECT count(*) FROM day_keys WHERE day <= (now() AT TIME ZONE 'UTC')::date") > 0
    at_rest.purge(days=31)
    assert at_rest.count("SELECT count(*) FROM events WHERE code <> 'purge.done'") == 0
    # The day's key is destroyed; those of days still to come are made ahead and have kept nothing yet.
    assert at_rest.count("SELECT count(*) FROM day_keys WHERE day <= (now() AT TIME ZONE 'UTC')::date") == 0
