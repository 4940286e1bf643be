"""Every key is explained, and docs/reference/config.md is what the structs say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bartizan.stack.explain import MEANING, explained, markdown
from bartizan.stack.home import Trouble

ROOT = Path(__file__).parents[3]


def test_every_key_has_a_meaning_and_every_meaning_a_key() -> None:
    rows = explained()
    assert [row["key"] for row in rows if not row["meaning"]] == []
    assert set(MEANING) == {row["key"] for row in rows}


def test_the_reference_is_up_to_date() -> None:
    assert (ROOT / "docs/reference/config.md").read_text() == markdown(), (
        "python -m bartizan.stack.explain > docs/reference/config.md"
    )


def test_one_key_and_what_lies_below() -> None:
    assert [row["key"] for row in explained("gateway.port")] == ["gateway.port"]
    assert {row["key"].split(".")[0] for row in explained("site")} == {"site"}
    with pytest.raises(Trouble, match=r"Did you mean gateway\.port"):
        explained("gateway.prt")
