"""docs/reference/cli.md names every command and every word of `up`."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from bartizan.stack import cli

TEXT = (Path(__file__).parents[3] / "docs/reference/cli.md").read_text()


def test_every_command_is_there() -> None:
    for name in ("up", "status", "serve", "check", "explain", "routes", "migrate", "doctor", "trust", "reset"):
        assert name in list(cli.app)
        assert f"bartizan {name}" in TEXT
    for group, words in {
        "user": ("create", "list", "show", "delete", "lock", "unlock"),
        "client": ("create", "list", "show", "delete"),
        "key": ("list", "rotate", "withdraw"),
        "session": ("list", "end", "end-all"),
    }.items():
        assert set(words) <= set(getattr(cli, group))
        assert f"bartizan {group}" in TEXT
        for word in words:
            assert f"`{word}`" in TEXT or f" {word} " in TEXT or f" {word}`" in TEXT, (group, word)


def test_every_word_of_up_is_there() -> None:
    for name in inspect.signature(cli.up).parameters:
        assert f"--{name.replace('_', '-')}" in TEXT, name


@pytest.mark.parametrize(
    ("words", "told"),
    [(("up",), "Paths of the app that need no sign-in."), (("session", "end-all"), "Only what this app has.")],
)
def test_help_says_what_a_word_is_for(words: tuple[str, ...], told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bartizan.stack.cli", *words, "--help"],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert told in done.stdout


@pytest.mark.parametrize(
    "words", [["frobnicate"], ["up", "--port", "abc"], ["client", "create", "x", "--kind", "boat"]]
)
def test_misuse_is_two_and_no_trace(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bartizan", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "Traceback" not in "".join(capsys.readouterr())


def test_a_reader_who_has_seen_enough_ends_it_without_a_trace() -> None:
    command = [sys.executable, "-P", "-m", "bartizan.stack.cli", "explain"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as shown:
        assert shown.stdout
        assert shown.stderr
        shown.stdout.close()
        assert shown.stderr.read() == ""
    assert shown.returncode == 1


def _walk(app: App, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    for name in app:
        if not name.startswith("-"):
            yield (*words, name), app[name]
            yield from _walk(app[name], (*words, name))


COMMANDS = dict(_walk(cli.app))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_and_every_word_of_it_has_a_help_text(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    assert command.help, words
    if command.default_command is None:  # a group: its commands are walked too
        return
    arguments = command.assemble_argument_collection(parse_docstring=True)
    assert len(arguments) == len(inspect.signature(command.default_command).parameters)
    for argument in arguments:
        assert argument.parameter.help, (words, argument.names)


def test_the_walk_meets_what_is_there() -> None:
    assert {("up",), ("user", "create"), ("client", "create"), ("session", "end-all"), ("reset",)} <= set(COMMANDS)
