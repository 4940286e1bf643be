"""bartizan.toml: every fault at once, with key, line and cure; secrets by reference only."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.stack.config import BrokenConfig, Lines, load, parse
from bartizan.stack.effective import Effective, read, save
from bartizan.stack.schema import Config, Reference

BROKEN = """
[site]
nam = "x"
app = 3
[auth]
access_token_lifetime = "5x"
[[auth.client]]
id = "a"
kind = "brwser"
secret = "hush"
[[auth.client]]
kind = "server"
[auth.scopes."photos.read"]
ca = "See"
[[route]]
path = "/"
csrf = "frm"
timeout = true
cors = "https://a.example"
[worker.mail]
password = { file = "a", env = "B" }
[foo]
"""


def faults_of(text: str) -> dict[str, tuple[int | None, str]]:
    with pytest.raises(BrokenConfig) as broken:
        parse(text)
    return {fault.key: (fault.line, fault.says) for fault in broken.value.faults}


def test_an_empty_file_is_the_safe_embedded_default() -> None:
    assert parse("") == Config()


def test_all_faults_are_told_at_once_with_key_line_and_hint() -> None:
    found = faults_of(BROKEN)
    assert found["site.nam"] == (3, "there is no such key; did you mean name?")
    assert found["site.app"][0] == 4
    assert "90s" in found["auth.access_token_lifetime"][1]
    assert found["auth.client[0].kind"] == (
        9,
        "'brwser' is none of browser, server, native, agent; did you mean browser?",
    )
    assert "never stands in the file" in found["auth.client[0].secret"][1]
    assert found["auth.client[1].id"] == (11, "is missing.")
    assert found["auth.scopes.photos.read.can"] == (13, "is missing.")
    assert found["route[0].csrf"][1].endswith("did you mean form?")
    assert found["route[0].timeout"][0] == 18
    assert found["route[0].cors"][0] == 19
    assert "either" in found["worker.mail.password"][1]
    assert "there is no such key" in found["foo"][1]
    assert len(found) == 13


def test_a_fault_is_one_sentence_with_file_and_line() -> None:
    with pytest.raises(BrokenConfig) as broken:
        parse("[site]\nnam = 'x'", "/etc/b.toml")
    assert str(broken.value) == "/etc/b.toml:2: site.nam: there is no such key; did you mean name?"


def test_what_is_not_toml_is_told_with_its_line() -> None:
    with pytest.raises(BrokenConfig) as broken:
        parse("[site]\nname = \n")
    assert broken.value.faults[0].line == 2


@pytest.mark.parametrize(
    ("written", "seconds"), [('"90s"', 90), ('"5m"', 300), ('"1h30m"', 5400), ('"14d"', 1_209_600), ("300", 300)]
)
def test_times_as_people_write_them(written: str, seconds: int) -> None:
    assert parse(f"[auth]\naccess_token_lifetime = {written}").auth.access_token_lifetime == seconds


@pytest.mark.parametrize("written", ['"5 minutes"', '"m"', "-1", "1.5", "false", "[]"])
def test_other_times_are_faults(written: str) -> None:
    assert "auth.access_token_lifetime" in faults_of(f"[auth]\naccess_token_lifetime = {written}")


@pytest.mark.parametrize(("written", "size"), [('"10MB"', 10 * 1024**2), ('"512KB"', 512 * 1024), ("7", 7)])
def test_sizes_as_people_write_them(written: str, size: int) -> None:
    assert parse(f"[files]\nmax_size = {written}").files.max_size == size


def test_references_and_plain_addresses() -> None:
    config = parse('[database]\nurl = { env = "DATABASE_URL" }\n[cache]\nurl = "valkey://10.0.0.1:6379/0"')
    assert config.database.url == Reference(env="DATABASE_URL")
    assert config.cache.url == "valkey://10.0.0.1:6379/0"


def test_the_effective_configuration_survives_its_journey_to_the_children(tmp_path: Path) -> None:
    config = parse('[auth]\naccess_token_lifetime = "10m"\n[auth.scopes]\n"a.b" = { can = "See" }\n[[route]]\npath="/"')
    sent = Effective(config=config, data=str(tmp_path), sockets="/s", engines="/e", uid=61000, demo=True, base="/b")
    assert read(save(sent)) == sent


@given(st.text(max_size=200))
def test_any_text_is_a_config_or_a_list_of_faults(text: str) -> None:
    with suppress(BrokenConfig):  # the only way to say no
        assert isinstance(parse(text), Config)


@given(st.text(max_size=300))
def test_the_line_finder_takes_any_text(text: str) -> None:
    Lines(text).of(("route", 0, "path"))


def test_a_fault_of_the_whole_file_names_the_file(tmp_path: Path) -> None:
    absent, broken = tmp_path / "absent.toml", tmp_path / "broken.toml"
    broken.write_text("x = [")
    for file in (absent, broken):
        with pytest.raises(BrokenConfig) as raised:
            load(file)
        assert str(raised.value).startswith(f"{file}")
