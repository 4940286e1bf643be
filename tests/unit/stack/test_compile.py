"""Config → each server's settings: what the file leaves out is the safe choice."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.fixtures import ring as keeper

from bartizan.gateway.settings import Access
from bartizan.model.clients import AuthMethod, Kind
from bartizan.protocol.secrets import client_secret, fingerprint, new_ring_line
from bartizan.stack import compile as compiled
from bartizan.stack import effective, sources, workers
from bartizan.stack.config import BrokenConfig, parse
from bartizan.stack.effective import Effective, new_ring, read, ring, ring_file, save
from bartizan.stack.home import Home
from bartizan.stack.schema import Auth, Config, KeysRow, Reference


@pytest.fixture
def data(tmp_path: Path) -> Path:
    home = Home(tmp_path / "data")
    home.open()
    return home.data


def at(data: Path, config: Config) -> Effective:
    return Effective(config=config, data=str(data), sockets="/s", engines=str(data), base=str(data.parent))


def demo(data: Path) -> Effective:
    (data / "keys" / "shop").write_text("hush")
    places = {
        "printshop_secret": str(data / "keys" / "shop"),
        "api": "unix:/s/api.sock",
        "printshop": "unix:/s/shop.sock",
        "spa": "/spa",
    }
    return at(data, sources.demo(port=8080, https=False, mode="cookie", places=places))


def test_a_new_ring_is_told_of_once_and_a_copied_one_is_used(data: Path, tmp_path: Path) -> None:
    here = at(data, Config())
    told = new_ring(here)
    assert told is not None
    assert f"A new key ring was made: {data / 'keys' / 'ring'}." in told
    assert new_ring(here) is None
    second = at(tmp_path / "second", Config())
    second.path("keys").mkdir(parents=True)
    second.path("keys", "ring").write_bytes(here.path("keys", "ring").read_bytes())
    assert new_ring(second) is None
    assert ring(second).purpose("x") == ring(here).purpose("x")


def test_two_that_start_at_once_have_one_ring(data: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        read = list(threads.map(lambda _: ring_file(data).read_text(), range(16)))
    assert len(set(read)) == 1
    assert [path.name for path in (data / "keys").iterdir()] == ["ring"]


def test_a_disk_without_links_has_its_ring_too(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    assert ring_file(data).read_text().count(" ") == 1
    assert [path.name for path in (data / "keys").iterdir()] == ["ring"]


def test_a_ring_that_the_file_names_makes_none(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RING", new_ring_line("20261124", b"x" * 32))
    here = at(data, Config(keys=KeysRow(ring=Reference(env="RING"))))
    assert new_ring(here) is None
    ring(here)
    assert not here.path("keys", "ring").exists()


def test_without_a_client_of_kind_browser_there_is_one_with_a_derived_secret(data: Path) -> None:
    ring_file(data)
    here = at(data, Config())
    (client,) = compiled.clients(here, ring(here))
    assert client.kind is Kind.BROWSER
    assert client.redirect_uris == ("http://app.localhost:8080/bff/callback",)
    derived = client_secret(ring(here).purpose("client"), client.id)
    assert client.secret_fingerprint == fingerprint(derived), "auth and frontend derive the same one"
    assert compiled.frontend(here).client_id == client.id


def test_the_demos_clients(data: Path) -> None:
    ring_file(data)
    here = demo(data)
    spa, shop = compiled.clients(here, ring(here))
    assert spa.first_party
    assert not shop.first_party, "a third party asks for consent"
    assert shop.auth_method is AuthMethod.BASIC
    assert shop.secret_fingerprint == fingerprint("hush")
    assert shop.audience == ("http://app.localhost:8080",)
    assert {client.owner for client in (spa, shop)} == {"file"}


def test_routes_become_the_gateways(data: Path) -> None:
    rows = {row.path: row for row in compiled.gateway(demo(data), ()).app_routes}
    api, shared, views, spa = (rows[path] for path in ("/api/", "/api/shared", "/views/", "/"))
    assert api.access is shared.access is views.access is Access.REQUIRED
    assert api.cors_origins == ()
    assert shared.cors_origins == ("http://print.localhost:8080",), "`clients` stands for their origins, exactly"
    assert views.csrf == "form"
    assert spa.access is Access.PUBLIC, "it must load before anybody can sign in"
    assert spa.to == "unix:/s/frontend.sock"


def test_an_spa_row_may_demand_sign_in(data: Path) -> None:
    config = parse('[[route]]\npath = "/"\nspa = "http://localhost:5173"\nrequire = "openid"')
    (row,) = compiled.gateway(at(data, config), ()).app_routes
    assert row.access is Access.REQUIRED
    assert row.websocket, "a development server reloads over one"


def test_lifetimes_travel_to_everybody_who_needs_them(data: Path) -> None:
    config = parse(
        '[auth]\naccess_token_lifetime = "10m"\n[database]\nurl = "postgresql://h/x"\n[privacy]\nretention="7d"'
    )
    here = at(data, config)
    assert compiled.auth(here).access_token_lifetime == 600
    assert compiled.database(here).ended_seconds == 660, "the list of the ended outlives the last token"
    assert compiled.database(here).retention_days == compiled.worker(here).keep_days == 7
    assert compiled.gateway(here, ()).access_token_lifetime == 600


def test_without_a_mail_server_the_dev_inbox_catches_all(data: Path) -> None:
    here = at(data, Config())
    assert compiled.has_inbox(here)
    assert compiled.smtp(here).socket == Path("/s/smtp.sock")
    real = parse('[worker.mail]\nhost = "m.example"\nsender = "a@b.example"')
    assert not compiled.auth(at(data, real)).dev_inbox
    assert compiled.smtp(at(data, real)).host == "m.example"


def test_references_are_followed_and_their_absence_is_told(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = at(data, parse('[database]\nurl = { env = "BZ_DB" }\n[cache]\nurl = { file = "cache.url" }'))
    monkeypatch.setenv("BZ_DB", "postgresql://u:p@h/x")
    (data.parent / "cache.url").write_text("valkey://h:1/0\n")
    assert compiled.database_url(here) == "postgresql://u:p@h/x"
    assert compiled.cache_url(here) == "valkey://h:1/0", "relative to the file"
    monkeypatch.delenv("BZ_DB")
    with pytest.raises(BrokenConfig, match="has no BZ_DB"):
        compiled.database_url(here)


def test_the_key_ring_is_made_once_0600_and_the_first_line_writes(data: Path) -> None:
    path = ring_file(data)
    assert path.stat().st_mode & 0o777 == 0o600
    (old,) = ring(at(data, Config())).keys
    assert ring_file(data) == path
    new = keeper.add(path)
    assert [name for name, _ in ring(at(data, Config())).keys] == [old[0], new]
    keeper.use(path, new)
    assert ring(at(data, Config())).keys[1] == old
    keeper.drop(path, old[0])
    assert [name for name, _ in ring(at(data, Config())).keys] == [new]
    keeper.drop(path, new)
    with pytest.raises(BrokenConfig, match="at least one key"):
        ring(at(data, Config()))


def test_what_children_are_handed_holds_no_secret(data: Path) -> None:
    here = demo(data)
    path = save(here)
    assert read(path) == here
    assert "hush" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.fspath(effective.home(here).data) == here.data


def test_each_worker_has_sockets_of_its_own_and_all_are_known(data: Path) -> None:
    two = at(data, Config(auth=Auth(workers=2)))
    assert workers.processes(two) == ("web", "web-2")
    assert [workers.number_of(name) for name in ("web", "web-2", "web-64", "auth-files", "web-x", "work")] == [
        1, 2, 64, 1, 1, 1,
    ]  # fmt: skip
    assert [path.name for path in workers.sockets(two, "auth")] == ["auth.sock", "auth-2.sock"]
    assert compiled.processes(two)["web-2"] == ("auth", "frontend", "files")
    assert compiled.frontend(two, 2).auth_address.endswith("/auth-2.sock")
    gateway = compiled.gateway(two, ())
    assert gateway.auth_address.endswith("/auth.sock")
    assert [address.rpartition("/")[2] for address in gateway.auth_others] == ["auth-2.sock"]
    assert compiled.processes(at(data, Config())) == compiled.PROCESSES
