"""Every command that a page or an error of ours names is one that the command line takes."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from cyclopts import CycloptsError
from tests.unit.auth.house import BFF, PRINT_SHOP, USER
from tests.unit.pages.house import PagesHouse

import bartizan
from bartizan.stack import cli

ROOM = Path(bartizan.__file__).parent
_COMMAND = re.compile(
    r"""(?:\b(?:See|Start|start|trust|Start it with|https for this|yet): |[`"'>$] ?)bartizan ([a-z][^`"'<{\n]*)"""
)


def takes(line: str) -> str:
    """Why not, or nothing."""
    try:
        cli.app.parse_args(line.split(), exit_on_error=False, print_error=False)
    except CycloptsError as wrong:
        return f"{line}: {wrong}"
    return ""


@pytest.fixture(scope="module")
def shown() -> list[str]:
    """The command lines of the console, as an administrator reads them."""
    with PagesHouse() as house:
        house.give_password(msgspec.structs.replace(USER, admin=True))
        house.enter()
        pages = (
            "",
            "/users",
            f"/users/{USER.id}",
            "/clients",
            f"/clients/{BFF.id}",
            f"/clients/{PRINT_SHOP.id}",
            "/keys",
        )
        texts = [house.get(f"/admin{page}").text for page in pages]
    blocks = [block for text in texts for block in re.findall(r'<code class="cmd"[^>]*>(.*?)</code>', text, re.DOTALL)]
    return [
        line.removeprefix("$ bartizan ")
        for block in blocks
        for line in unescape(re.sub(r"<[^>]+>", "", block)).strip().splitlines()
    ]


def test_the_console_shows_commands_that_exist(shown: list[str]) -> None:
    assert len(shown) >= 7
    assert [wrong for line in shown if (wrong := takes(line))] == []


def test_what_ends_a_session_names_a_session(shown: list[str]) -> None:
    (line,) = [line for line in shown if line.startswith("session end")]
    assert UUID(line.removeprefix("session end "))


def test_a_wrong_command_would_be_noticed() -> None:
    assert takes("session finish x")
    assert takes("client create x --kind boat")


@pytest.mark.parametrize("ending", ["py", "html"])
def test_what_our_texts_name_begins_like_a_command(ending: str) -> None:
    groups = {name: getattr(cli, name) for name in ("user", "client", "key", "session")}
    found = 0
    for path in ROOM.rglob(f"*.{ending}"):
        for said in _COMMAND.findall(path.read_text("utf-8")):
            found += 1
            first, *more = re.findall(r"[a-z]+", said)
            assert first in list(cli.app), (path.name, said)
            if first in groups:
                assert more, (path.name, said)
                assert more[0] in list(groups[first]), (path.name, said)
    assert found > 5
