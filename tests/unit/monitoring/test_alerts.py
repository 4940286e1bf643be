"""The alert rules parse, name only metrics that exist, and each says what happened and what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bartizan.model.event import EVENTS
from bartizan.monitoring.families import FAMILIES
from bartizan.monitoring.scrape import NINE

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "alerts" / "bartizan.rules.yml"
_NAME = re.compile(r"\bbartizan_[a-z0-9_]+")


def rules() -> list[dict[str, Any]]:
    """A reader for the plain subset of YAML that the file keeps to; anything else fails the test."""
    found: list[dict[str, Any]] = []
    folded = ""
    for line in RULES.read_text().splitlines():
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if not text or text.startswith("#") or text in ("groups:", "rules:", "annotations:"):
            folded = ""
            continue
        if folded and indent > 8 and found and not re.match(r"(for|labels|annotations|summary|cure):", text):
            found[-1][folded] += " " + text
            continue
        match = re.fullmatch(r"(?:- )?([a-z]+): (.+)", text)
        assert match, f"not plain: {line!r}"
        key, value = match[1], match[2]
        folded = key if value == ">-" else ""
        if key == "alert":
            found.append({"alert": value})
        elif key != "name":
            found[-1][key] = "" if folded else value.strip('"')
    return found


def counted() -> Iterator[str]:
    """The names that any of our servers counts, read from the calls on a meter in the source."""
    for path in (ROOT / "src" / "bartizan").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            first = node.args[0]
            if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
                continue
            if node.func.attr == "count":
                yield f"bartizan_{first.value}_total"
            elif node.func.attr == "observe":
                yield f"bartizan_{first.value}_seconds"
            elif node.func.attr == "set":
                yield f"bartizan_{first.value}"


@cache
def known() -> set[str]:
    ours = {f.name + ("_total" if f.kind == "counter" else "") for f in FAMILIES.values()}
    return ours | set(counted())


def test_there_are_rules() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) >= 15
    assert len(names) == len(set(names))


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_is_whole_and_names_what_exists(rule: dict[str, Any]) -> None:
    assert set(rule) - {"for"} == {"alert", "expr", "labels", "summary", "cure"}
    assert rule["summary"].endswith(".")
    assert rule["cure"].rstrip("`)").endswith((".", ".)"))
    named = set(_NAME.findall(rule["expr"]))
    assert named
    assert named <= known(), named - known()
    assert set(_NAME.findall(rule["cure"])) <= known()
    for code in re.findall(r'code="([^"]+)"', rule["expr"]):
        assert code in EVENTS
    for server in re.findall(r'server="([^"]+)"', rule["expr"]):
        assert server in NINE
    assert rule["expr"].count("(") == rule["expr"].count(")")
