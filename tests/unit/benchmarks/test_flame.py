"""The picture of a profile: from the loop on, one box a function, as wide as its share, whatever stands in a name."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from benchmarks import flame

LOOP = "main (bartizan/stack/serve.py:25);Runner.run (asyncio/runners.py:118)"
STACKS = f"""\
{LOOP};Token.__call__ (bartizan/auth/endpoints/token.py:27);sign (bartizan/protocol/jose.py:10) 6
{LOOP};Token.__call__ (bartizan/auth/endpoints/token.py:31) 2
{LOOP};fetch (asyncpg/connection.py:1) 2
"""
SVG = "{http://www.w3.org/2000/svg}"


def boxes(picture: str) -> dict[str, ElementTree.Element]:
    """By what is told of each."""
    drawn = ElementTree.fromstring(picture).findall(f"{SVG}g")
    return {str(box.findtext(f"{SVG}title")): box for box in drawn}


def width(box: ElementTree.Element) -> float:
    rect = box.find(f"{SVG}rect")
    assert rect is not None
    return float(rect.attrib["width"])


def test_lines_of_a_function_are_one_box_and_the_start_of_the_process_is_left_out() -> None:
    drawn = boxes(flame.drawn(STACKS, "refresh"))
    assert set(drawn) == {
        "Token.__call__ (bartizan/auth/endpoints/token.py): 80.0 %",
        "sign (bartizan/protocol/jose.py): 60.0 %",
        "fetch (asyncpg/connection.py): 20.0 %",
    }


def test_a_box_is_as_wide_as_its_share() -> None:
    drawn = boxes(flame.drawn(STACKS, "refresh"))
    whole, part = (width(box) for name, box in drawn.items() if "80.0" in name or "60.0" in name)
    assert part / whole == pytest.approx(0.75, abs=0.01)


def test_what_is_too_narrow_is_not_drawn() -> None:
    assert len(boxes(flame.drawn(f"{LOOP};a (x.py:1) 9999\n{LOOP};b (x.py:1) 1\n", "t"))) == 1


@pytest.mark.parametrize("name", ["<listcomp>", 'a"b', "a&b"])
def test_names_are_text(name: str) -> None:
    (told,) = boxes(flame.drawn(f"{LOOP};{name} (x.py:1) 4\n", "<b>"))
    assert told.startswith(f"{name} (x.py)")


def test_torn_stacks_are_drawn_and_other_lines_passed_over() -> None:
    drawn = boxes(flame.drawn("half (bartizan/web/mount.py:3) 5\nno count\n\n", "t"))
    assert list(drawn) == ["half (bartizan/web/mount.py): 100.0 %"]


def test_nothing_is_no_picture() -> None:
    with pytest.raises(ValueError, match="no samples"):
        flame.drawn("", "t")


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("bartizan/database/pool.py", "database"),
        ("bartizan/web/mount.py", "ours"),
        ("asyncpg/pool.py", "driver"),
        ("uvicorn/server.py", "server"),
        ("msgspec/json.py", "other"),
    ],
)
def test_whose_code_it_is(file: str, kind: str) -> None:
    assert flame.owner(file) == kind
    assert kind in {kind for kind, _ in flame.LEGEND}
