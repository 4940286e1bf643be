"""Design §8, flows §7, §12: whatever is missing or broken, nothing opens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.gateway.conftest import TEMPLATE
from tests.gateway.site import CSRF, Site, make_site

from bartizan.gateway import envoy
from bartizan.gateway.compiler import published, scripts

OWN = ("auth", "inbox", "frontend", "files")


@contextmanager
def unstarted() -> Iterator[Site]:
    made = make_site(TEMPLATE, own=OWN, apps=("api",))
    try:
        yield made
    finally:
        made.stop()


def test_as_prepared_it_answers_who_shows_no_token_and_nobody_else() -> None:
    with unstarted() as site:
        envoy.prepare(site.settings)
        site.start_envoy()
        for token in (site.keys.token(), "anything"):
            assert site.ask("GET", "/api/x", {"Authorization": f"Bearer {token}"}).status == 503
        assert site.ask("GET", "/api/x").status == 401
        assert site.ask("GET", "/open/x").status == 200
        site.publish(published.JWT_FILE, published.jwt(site.settings, site.keys.jwks()))
        assert site.ask("GET", "/api/x", {"Authorization": f"Bearer {site.keys.token()}"}).status == 503


@pytest.mark.parametrize("missing", [published.JWT_FILE, published.ENDED_FILE])
def test_without_one_of_its_files_it_does_not_start(missing: str) -> None:
    with unstarted() as site:
        envoy.prepare(site.settings)
        (site.settings.config_dir / missing).unlink()
        site.start_envoy(listening=False)
        assert site.process is not None
        assert site.process.wait(10) != 0


@pytest.mark.parametrize("broken", ["gate", "authority", "public", "kept"])
def test_a_script_that_fails_lets_nothing_pass(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    read = scripts._read

    def failing(name: str) -> str:
        script = read(name)
        return script.replace("(handle)\n  local", "(handle)\n  error(nil)\n  local") if name == broken else script

    monkeypatch.setattr(scripts, "_read", failing)
    paths = {"gate": "/api/x", "authority": "/api/x", "public": "/open/x", "kept": "/bff/renew"}
    with unstarted() as site:
        site.start()
        answer = site.ask("POST", paths[broken], [site.cookies(site.cookie_token()), ("X-CSRF-Token", CSRF)])
        assert (answer.status, answer.json()["error"]) == (500, "server_error")
        assert [line for server in site.servers.values() for line in server.seen] == []
