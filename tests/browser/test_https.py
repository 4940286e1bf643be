"""`up --https`: the same house under a certificate of this copy's own authority, which nobody has to trust to try it."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser
from tests.browser import steps
from tests.fixtures.stack import Stack

from bartizan.database.place import forget

pytestmark = [pytest.mark.stack, pytest.mark.browser]


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("https") / "data", "--demo", "--https")
    try:
        yield stack.start()
    finally:
        stack.stop()
        forget(stack.data)


def test_a_person_signs_up_and_the_cookies_keep_their_names_and_flags(
    browser: Browser, safe: Stack, tmp_path: Path
) -> None:
    site = safe.site()
    assert site.app.startswith("https://")
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    steps.sign_up(page, site, *steps.new_person())
    steps.upload(page, steps.picture(tmp_path / "a.jpg"))
    found = steps.cookies(context, site)
    assert found["at"]["secure"]
    assert found["rt"]["sameSite"] == "Strict"
    steps.connect_printshop(page, site)
    context.close()


def test_the_certificate_holds_for_each_origin_under_our_authority_alone(safe: Stack) -> None:
    site = safe.site()
    trusted = ssl.create_default_context(cafile=str(site.data / "ca" / "ca.pem"))
    trusted.check_hostname = False  # dialled by address below; the name is compared by hand
    for origin in (site.app, site.id, site.files):
        parts = urlsplit(origin)
        line = http.client.HTTPSConnection("127.0.0.1", parts.port, context=trusted, timeout=10)
        line.request("GET", "/", headers={"Host": parts.netloc})
        certificate = line.sock.getpeercert() or {}
        answer = line.getresponse()
        answer.read()
        line.close()
        assert ("DNS", parts.hostname) in tuple(certificate.get("subjectAltName", ()))
        assert "max-age=" in (answer.getheader("strict-transport-security") or "")
    with pytest.raises(ssl.SSLCertVerificationError):
        http.client.HTTPSConnection("127.0.0.1", urlsplit(site.app).port, timeout=10).request("GET", "/")
