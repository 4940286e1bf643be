"""The short form of these tests is the suite's; BARTIZAN_FAULTS=long is the whole."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

LONG = os.environ.get("BARTIZAN_FAULTS") == "long"
long_only = pytest.mark.skipif(not LONG, reason="in the long form: BARTIZAN_FAULTS=long")


def rows(table: Mapping[str, object], short: int = 1) -> list[object]:
    """Of a table of mutants or troubles: its first rows always, the others in the long form."""
    return [pytest.param(name, marks=[] if place < short else long_only, id=name) for place, name in enumerate(table)]
