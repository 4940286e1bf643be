"""`/bff/client.js`: one address for the configured mode, asked for again each time."""

from __future__ import annotations

import pytest
from tests.unit.frontend.house import SCRIPT, Browser

from bartizan.frontend import client
from bartizan.model.clients import Mode


@pytest.mark.parametrize(("mode", "name"), [(Mode.COOKIE, client.COOKIE), (Mode.MEMORY, client.MEMORY)])
def test_one_address_for_the_mode(mode: Mode, name: str) -> None:
    with Browser(mode) as browser:
        answer = browser.call("GET", "/bff/client.js", SCRIPT)
        assert answer.body == (client.folder() / name).read_bytes()
        assert answer.body == browser.call("GET", f"/bff/{name}", SCRIPT).body
        assert (answer.header("content-type") or "").startswith("text/javascript")
        assert answer.header("cache-control") == "no-cache"
        tag = answer.header("etag") or ""
        assert browser.call("GET", "/bff/client.js", {**SCRIPT, "if-none-match": tag}).status == 304


def test_it_is_packed_for_who_takes_it() -> None:
    with Browser() as browser:
        packed = browser.call("GET", "/bff/client.js", {**SCRIPT, "accept-encoding": "gzip, br"})
        assert packed.header("content-encoding") == "gzip"
        assert len(packed.body) < len(browser.call("GET", "/bff/client.js", SCRIPT).body)
