"""CONTRIBUTING.md's recipes, followed word for word on a copy of the house; then another Python looks at the copy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, Block, blocks

from bartizan.auth.grants import GRANTS
from bartizan.stack import check

_HEAD = re.compile(r"(?:# |<!-- )(?:new: (?P<new>\S+)(?: -->)?|(?P<file>\S+), (?P<how>after|instead of): (?P<line>.*))")

LOOK = """
import asyncio, json, pathlib, sys, uuid
import msgspec
from tests.unit.auth import house as auth_house
from tests.unit.pages.house import PagesHouse
import bartizan
assert str(pathlib.Path(sys.argv[1])) in bartizan.__file__, bartizan.__file__

with auth_house.House() as house:
    told = house.call("GET", "/.well-known/oauth-authorization-server").json
    assert "urn:example:voucher" in told["grant_types_supported"], "discovery"
    agent = msgspec.structs.replace(auth_house.AGENT, grants=("urn:example:voucher",))
    house.tables.clients[agent.id] = agent
    ask = {"grant_type": "urn:example:voucher", "voucher": "spring"}
    assert house.as_client(agent, "/token", ask).json["access_token"].count(".") == 2, "the token endpoint"
    assert house.as_client(agent, "/token", ask | {"voucher": "x"}).json["error"] == "invalid_grant"
    assert house.call("GET", "/motto").json == {"motto": "We see both walls."}, "the app mounts it"

with PagesHouse() as house:
    answer = house.get("/about")
    assert answer.status == 200 and "About Bartizan" in answer.body.decode(), "the page"
    house.give_password(msgspec.structs.replace(auth_house.USER, admin=True))
    house.enter()
    assert "motto.read" in house.get("/admin/events").body.decode(), "the console's filter"

from bartizan.auth.admin import console
from bartizan.model.event import StoredEvent
event = StoredEvent(id=uuid.UUID(int=1), at=house.clock(), code="motto.read", user_id=auth_house.USER.id,
    client_id=None, session_id=None, gid=None, request_id="", address_hash=None, network="", detail={})
assert str(console._told(event, auth_house.USER).sentence).endswith("read the motto"), "the console's sentence"

from bartizan.stack import check, inspect, parts, wiring
from bartizan.stack.config import parse
nowhere = pathlib.Path(sys.argv[1]) / "data"
(row,) = [row for row in inspect.route_rows(None, nowhere) if row["path"] == "/motto"]
assert row["limit"] == "60/minute", "the gateway compiles it"
text = '[[auth.client]]\\nid = "a"\\nkind = "agent"\\nsecret = { env = "A" }\\ngrants = ["urn:example:voucher"]\\n'
assert check.check(parse(text)) == (), "a client of the file may name the grant"

from bartizan.auth import jobs
from bartizan.model.job import Job
async def work():
    handed = await parts.idle(inspect.imagined(check.Config(), nowhere, nowhere))
    try:
        rows = {row.kind: row for row in wiring.job_rows(handed)}
        await rows["motto.carve"].run(Job(id=uuid.UUID(int=2), kind="motto.carve", detail={"word": "both"}))
    finally:
        await handed.close()
asyncio.run(work())
assert jobs.carved == ["both"], "the worker would run it"
print("followed")
"""


def follow(block: Block, house: Path) -> None:
    head, _, body = block.text.partition("\n")
    found = _HEAD.fullmatch(head)
    assert found, f"what does {head!r} say?"
    if found["new"]:
        file = house / found["new"]
        file.parent.mkdir(exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(body)
        return
    file = house / found["file"]
    lines = file.read_text().splitlines(keepends=True)
    at = lines.index(found["line"] + "\n")
    file.write_text("".join([*lines[: at + (found["how"] == "after")], body, *lines[at + 1 :]]))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source, with every recipe done."""
    at = tmp_path_factory.mktemp("house")
    leave_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", at / "src", ignore=leave_out)
    shutil.copytree(ROOT / "clients", at / "clients")
    for block in blocks("python", "html"):
        if block.page == "CONTRIBUTING.md":
            follow(block, at)
    return at


def test_discovery_routes_pages_console_and_worker_follow(house: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(house)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{house / 'src'}:{ROOT}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.endswith("followed\n"), done.stderr


def test_both_tables_of_grants_agree() -> None:
    assert set(check.GRANTS) == set(GRANTS)


def test_every_file_that_the_recipes_name_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    made = set(re.findall(r"new: (\S+)", text))
    for name in re.findall(r"\b((?:src|tests|docs|deploy)/[\w./-]+\w)", text):
        assert name in made or (ROOT / name).exists(), name
