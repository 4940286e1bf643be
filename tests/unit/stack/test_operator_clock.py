"""Flows §7: an operator's command goes by the database's clock too, or its machine would end keys before their time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest
from tests.unit.auth.fake_ports import FakeClock
from tests.unit.auth.fakes import FakeStore
from tests.unit.auth.house import RING, SETTINGS

from bartizan.stack import compile as compiled
from bartizan.stack import operations
from bartizan.stack.instance import Instance


@pytest.fixture
def store() -> FakeStore:
    return FakeStore(FakeClock())  # in 2030, whatever this machine says


@pytest.fixture
def instance(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.setattr(compiled, "auth", lambda at: SETTINGS)
    return cast("Instance", SimpleNamespace(at=None, store=store, ring=RING))


def test_keys_are_rotated_and_withdrawn_by_the_database_s_clock(store: FakeStore, instance: Instance) -> None:
    asyncio.run(operations.rotate_keys(instance))
    (first,) = store.tables.keys.values()
    assert first.active_at == store.clock()
    asyncio.run(operations.rotate_keys(instance))
    told = asyncio.run(operations.withdraw_key(instance, first.kid))
    assert [(row["state"], row["active_at"]) for row in told] == [("signs", store.clock().isoformat())]
