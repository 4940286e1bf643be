from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.pages.house import PagesHouse


@pytest.fixture
def house() -> Iterator[PagesHouse]:
    with PagesHouse() as made:
        assert isinstance(made, PagesHouse)
        yield made
