"""Every command, file and piece of code that a page shows: read, checked, run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import types
from pathlib import Path
from typing import Any

import pytest
from cyclopts import CycloptsError
from flask import Flask
from tests.docs.blocks import ROOT, Block, blocks
from tests.unit.guard.test_fastapi import call

from bartizan.guard import kit, testing
from bartizan.protocol.secrets import parse_ring
from bartizan.stack import cli
from bartizan.stack.check import check
from bartizan.stack.config import Lines, parse

LANGUAGES = {"sh", "toml", "python", "html", "json", "mermaid", ""}
RECIPES = "CONTRIBUTING.md"  # run by test_recipes.py, on a copy


def code(page: str) -> list[Block]:
    return [block for block in blocks("python") if block.page == page]


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> testing.Issuer:
    """What every guard of a page hears instead of the network."""
    made = testing.Issuer()
    monkeypatch.setattr(kit, "Watch", lambda issuer: made)
    return made


def run(block: Block) -> dict[str, Any]:
    space = types.ModuleType("page").__dict__
    exec(compile(block.text, str(block), "exec"), space)
    return space


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    """A picture in text ("") and a drawn one ("mermaid") are shown, not run."""
    for block in blocks():
        assert block.language in LANGUAGES, block
        if block.language == "json":
            json.loads(block.text)


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_every_command_is_one_that_we_have(block: Block) -> None:
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if words[0] == "make":
            target = words[1]
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
        elif words[0] == "bartizan":
            if words[1:] != ["--help"]:
                try:
                    cli.app.parse_args(words[1:], exit_on_error=False, print_error=False)
                except CycloptsError as wrong:
                    pytest.fail(f"{line}: {wrong}")
        elif words[0].startswith(".venv/bin/") or words[0] in ("python", "./.ci/run"):
            script = next((word for word in words if word.endswith((".py", "run")) or word.startswith("tests/")), "")
            assert not script or (ROOT / script).exists(), line
        else:
            assert words[0] == "export", f"what is {line!r}?"


def test_the_ring_that_production_makes_is_one(tmp_path: Path) -> None:
    (making,) = (block.text for block in blocks("") if "/etc/bartizan/ring" in block.text)
    made = tmp_path / "ring"
    subprocess.run(["sh", "-c", making.replace("/etc/bartizan/ring", str(made))], check=True, timeout=10)
    assert len(parse_ring(made.read_text()).keys) == 1
    assert made.stat().st_mode & 0o777 == 0o600


def test_a_command_that_we_do_not_have_is_noticed() -> None:
    with pytest.raises(CycloptsError):
        cli.app.parse_args(["up", "--httpz"], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_every_file_has_no_fault(block: Block) -> None:
    assert check(parse(block.text, str(block)), Lines(block.text)) == ()


@pytest.mark.parametrize("block", [one for one in blocks("python") if one.page != RECIPES], ids=str)
def test_all_code_runs_and_declares_every_route(block: Block, issuer: testing.Issuer) -> None:
    space = run(block)
    if "guard" in space:
        left = space["guard"].undeclared()
        assert set(left) <= {"static", "openapi", "swagger_ui_html", "swagger_ui_redirect", "redoc_html"}, left


def test_the_readme_s_apps_do_what_it_says(issuer: testing.Issuer) -> None:
    plain, guarded = (run(block) for block in code("README.md"))
    app: Flask = plain["app"]
    assert app.test_client().get("/", headers={"X-Bartizan-User": "ada"}).text == "You are ada"
    browser = guarded["app"].test_client()
    page = browser.get("/", headers=issuer.browser("ada")).text
    (field,) = re.findall(r'name="([^"]+)" value="[^"]+"', page)
    headers = issuer.browser("ada")
    value = headers.pop("X-CSRF-Token")
    assert browser.post("/notes", headers=headers, data={"text": "hi"}).status_code == 403
    assert browser.post("/notes", headers=headers, data={"text": "hi", field: value}).text == "Kept."
    assert browser.get("/api/notes", headers=issuer.bearer("ada")).status_code == 403
    assert browser.get("/api/notes", headers=issuer.bearer("ada", scopes=["notes.read"])).json == ["hi"]


def test_the_flask_page_s_decorators_let_in_what_it_says(issuer: testing.Issuer) -> None:
    client = run(code("docs/how-to/protect-a-flask-app.md")[0])["app"].test_client()
    assert client.get("/").text == "Welcome."
    assert client.get("/", headers=issuer.bearer("ada")).text == "Welcome back."
    assert client.get("/", headers={"Authorization": "Bearer bad"}).status_code == 401
    assert client.get("/health").text == "fine"
    assert client.get("/api/notes").status_code == 401
    assert client.get("/api/notes", headers=issuer.bearer("ada", scopes=["notes.read"])).json == {
        "owner": "ada",
        "scopes": ["notes.read"],
    }
    written = client.post("/api/notes", headers=issuer.browser("ada", scopes=["notes.write"]), json={"text": "x"})
    assert (written.status_code, written.json) == (201, {"kept": "x"})


def test_the_fastapi_page_s_app_answers(issuer: testing.Issuer) -> None:
    app = run(code("docs/how-to/protect-a-fastapi-app.md")[0])["app"]
    assert call(app, "GET", "/health", {}) == (200, "fine")
    assert call(app, "GET", "/api/notes", {})[0] == 401
    headers = issuer.browser("ada", scopes=["notes.read", "notes.write"])
    assert call(app, "GET", "/api/notes", headers) == (200, {"owner": "ada"})
    posted = call(app, "POST", "/api/notes", headers | {"Content-Type": "application/json"}, b'{"a": "b"}')
    assert posted == (200, {"a": "b", "owner": "ada"})
    assert call(app, "GET", "/openapi.json", headers)[0] in (401, 403)
