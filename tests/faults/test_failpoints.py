"""The mechanism: failpoints are comments. Nothing of them is in a normal run; each named one is there; each acts."""

from __future__ import annotations

import importlib
import json
import marshal
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults import steps
from tests.fixtures.nodes import HOOK, Site

import bartizan

pytestmark = pytest.mark.faults

_MARK = re.compile(r"^\s*# failpoint: ([a-z0-9_.]+)$", re.MULTILINE)


def marks() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    root = Path(bartizan.__file__).parent
    for path in root.rglob("*.py"):
        for name in _MARK.findall(path.read_text("utf-8")):
            found.setdefault(name, []).append(str(path.relative_to(root)))
    return found


def test_each_failpoint_has_one_place() -> None:
    found = marks()
    assert found
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_a_normal_run_holds_nothing_of_them() -> None:
    """The bytecode of every module, as Python makes it without the hook."""
    for path in Path(bartizan.__file__).parent.rglob("*.py"):
        assert b"failpoint" not in marshal.dumps(compile(path.read_text("utf-8"), str(path), "exec")), path


def test_under_the_hook_they_are_calls(tmp_path: Path) -> None:
    passed = tmp_path / "passed"
    said = _under_hook(
        "from bartizan.database.coalesce import Coalescer\n"
        "import asyncio\n"
        "async def run(asked): return list(asked)\n"
        "print(asyncio.run(Coalescer(run).ask(7)))",
        BARTIZAN_FAILPOINT="coalesce.batch=note",
        BARTIZAN_FAILPOINTS_PASSED=str(passed),
    )
    assert said.stdout.strip() == "7", said.stderr
    assert passed.read_text().split() == ["coalesce.batch"]


def test_a_mutant_changes_the_text_it_names_and_nothing_else(tmp_path: Path) -> None:
    change = [{"module": "bartizan.protocol.oauth.pkce", "before": "is_verifier(verifier) and ", "after": ""}]
    file = tmp_path / "mutant"
    file.write_text(json.dumps(change))
    program = "from bartizan.protocol.oauth import pkce; print(pkce.matches('short', pkce.challenge('short')))"
    assert _under_hook(program).stdout.strip() == "False"
    assert _under_hook(program, BARTIZAN_MUTANT=str(file)).stdout.strip() == "True"
    change[0]["before"] = "no such text anywhere"
    file.write_text(json.dumps(change))
    said = _under_hook("import bartizan.protocol.oauth.pkce", BARTIZAN_MUTANT=str(file))
    assert "its text is there 0 times" in said.stderr


def mutants() -> Iterator[tuple[str, dict[str, str]]]:
    """All that the tests of faults and histories know, those of the long form too."""
    here = Path(__file__).parents[1]
    for path in sorted([*(here / "faults").rglob("*.py"), here / "histories" / "mutants.py"]):
        if "hook" not in path.parts:
            module = importlib.import_module(".".join(path.relative_to(here.parent).with_suffix("").parts))
            for name, value in vars(module).items():
                if name.isupper():
                    yield from ((str(path), one) for one in _changes_in(value))


def _changes_in(value: object) -> Iterator[dict[str, str]]:
    if isinstance(value, dict) and set(value) == {"module", "before", "after"}:
        yield value
    elif isinstance(value, (dict, tuple, list)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _changes_in(one)


def test_each_mutant_names_a_text_that_is_there_once() -> None:
    """Or a node would not start, in a form that is seldom run."""
    root, found = Path(bartizan.__file__).parents[1], list(mutants())
    assert len(found) > 50
    for where, one in found:
        source = root.joinpath(*one["module"].split(".")).with_suffix(".py").read_text("utf-8")
        assert source.count(one["before"]) == 1, f"{where}: {one}"


def _under_hook(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=os.environ | {"PYTHONPATH": str(HOOK)} | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_node_dies_where_it_is_told_to(shared_nodes_site: Site) -> None:
    node = shared_nodes_site.node().start(failpoint="rotations.rotated=kill")
    _, token = steps.family(shared_nodes_site, steps.people(shared_nodes_site)[0])
    assert steps.credentials(node).status == 200
    assert steps.refreshed(node, token).status == 0
    assert node.wait() == -9
    node.start()
    assert steps.refreshed(node, token).status == 200


def test_the_walks_of_the_fault_tests_work_when_nothing_is_broken(shared_nodes_site: Site) -> None:
    """Or each of them would pass for the wrong reason."""
    node = shared_nodes_site.node("auth", "frontend").start()
    person = steps.people(shared_nodes_site, password=True)[0]
    first = steps.redeem(node, steps.code_in(steps.authorize(node, person)))
    assert first.status == 200, first
    second = steps.refreshed(node, str(first.json()["refresh_token"]))
    assert second.status == 200, second
    access = str(second.json()["access_token"])
    assert steps.introspect(node, access).json()["active"] is True
    assert steps.userinfo(node, access).json()["sub"] == str(person.user.id)
    assert steps.revoke(node, str(second.json()["refresh_token"])).status == 200
    assert steps.introspect(node, access).json() == {"active": False}
    browser = steps.Browser(node)
    assert steps.sign_in(browser, person).status == 303
    assert browser.jar[steps.NAMES.sso]
