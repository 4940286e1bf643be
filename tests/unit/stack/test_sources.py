"""Where a configuration comes from: the packaged demo, or the words of `up` (flows §9)."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bartizan.stack import people, ports, probes, sources
from bartizan.stack.check import check
from bartizan.stack.home import Trouble
from bartizan.stack.origins import origins
from bartizan.stack.schema import Config
from bartizan.stack.sources import Fronted, fronting

PLACES = {"printshop_secret": "/k", "api": "unix:/s/api.sock", "printshop": "unix:/s/shop.sock", "spa": "/spa"}


@pytest.mark.parametrize("https", [False, True])
@pytest.mark.parametrize("mode", ["cookie", "memory"])
def test_the_demo_is_a_configuration_without_faults(https: bool, mode: str) -> None:
    config = sources.demo(port=8081, https=https, mode=mode, places=PLACES)
    assert check(config) == ()
    assert config.auth.client[0].mode == mode
    scheme = "https" if https else "http"
    assert origins(config).app == f"{scheme}://app.localhost:8081"
    assert config.auth.client[1].redirect_uris == (f"{scheme}://print.localhost:8081/callback",)


def test_an_app_alone_gets_every_path_behind_sign_in() -> None:
    (row,) = fronting(Fronted(app="http://127.0.0.1:5000")).route
    assert (row.path, row.to, row.public, row.csrf) == ("/", "http://127.0.0.1:5000", False, "origin")


def test_with_an_spa_the_app_gets_its_prefix_and_the_rest_is_public() -> None:
    api, spa = fronting(Fronted(app="http://127.0.0.1:5000", spa="http://127.0.0.1:5173")).route
    assert (api.path, api.public) == ("/api/", False)
    assert (spa.path, spa.spa, spa.require) == ("/", "http://127.0.0.1:5173", "")
    moved, _ = fronting(Fronted(app="http://a:1", spa="http://b:2", prefix="v1")).route
    assert moved.path == "/v1/"


def test_public_opens_paths_and_nothing_else() -> None:
    rows = fronting(Fronted(app="http://127.0.0.1:5000", public=("/health", "/open/"))).route
    assert [(row.path, row.public) for row in rows] == [("/health", True), ("/open/", True), ("/", False)]
    (only,) = fronting(Fronted(app="http://127.0.0.1:5000", public=("/",))).route
    assert only.public


def test_a_fronted_app_keeps_its_own_files_path() -> None:
    assert not fronting(Fronted(app="http://127.0.0.1:5000")).files.enabled
    assert check(fronting(Fronted(app="http://127.0.0.1:5000", public=("/files/x",)))) == ()


def test_an_spa_that_is_not_there_is_said() -> None:
    assert sources.unknown_path(Fronted(spa="/no/such/dir")) is not None
    assert sources.unknown_path(Fronted(spa="http://localhost:5173")) is None


def test_the_words_of_up_weigh_more_than_the_file(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text("[gateway]\nport = 9000\n")
    config = sources.listening(sources.from_file(file), port=9001, https=True)
    assert (config.gateway.port, config.gateway.tls.mode) == (9001, "local")
    assert sources.listening(Config(), port=None, https=False) == Config()


def test_a_taken_port_moves_only_when_nobody_named_it() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(Trouble, match=rf"Port {port} is in use.*--port"):
            ports.choose("127.0.0.1", port, fixed=True, word="--port")
        assert ports.choose("127.0.0.1", port, fixed=False, word="--port") > port


def test_a_port_shared_by_reuseport_counts_as_taken() -> None:
    """Two Envoys would otherwise share it and each answer half of the requests."""
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        assert ports.taken("127.0.0.1", busy.getsockname()[1]) is not None


def test_passwords_are_made_anew_and_pass_the_rule() -> None:
    from bartizan.auth.passwords import fault

    made = {people.new_password() for _ in range(50)}
    assert len(made) == 50
    assert all(fault(word) is None for word in made)


def test_two_that_choose_at_the_same_moment_choose_differently() -> None:
    """Neither listens yet. One lock a process would not show it, so the second asks from another process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    mine = ports.choose("127.0.0.1", port, fixed=False, word="--port")
    code = f"from bartizan.stack import ports; print(ports.choose('127.0.0.1', {mine}, fixed=False, word='--port'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > mine


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://bz:secret@db.example:6432/bz", "tcp://db.example:6432"),
        ("postgresql://bz:secret@db.example/bz", "tcp://db.example:5432"),
        ("postgresql://bz:secret@/bz?host=/run/pg", "unix:/run/pg/.s.PGSQL.5432"),
        ("valkey://:secret@cache.example/0", "tcp://cache.example:6379"),
        ("unix:///run/valkey.sock?db=0", "unix:/run/valkey.sock"),
    ],
)
def test_the_place_of_a_store_tells_no_secret(url: str, place: str) -> None:
    assert probes.place_of(url) == place
