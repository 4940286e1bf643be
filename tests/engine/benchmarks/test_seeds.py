"""What PostgreSQL makes of families is what `Cast` says of them, in a table that is as the migrations made it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from benchmarks import bulk, seeds
from benchmarks.cast import Cast

pytestmark = pytest.mark.engine

AT = datetime(2030, 1, 1, tzinfo=UTC)
CAST = Cast(users=7, clients=5, families=300, seed=b"s" * 32)

_SHAPE = """
    SELECT (SELECT reloptions FROM pg_class WHERE oid = $1::text::regclass) AS storage,
        (
            SELECT array_agg((attname, atttypid, attnotnull, attidentity, pg_get_expr(adbin, adrelid))::text
                             ORDER BY attnum)
            FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
        ) AS columns,
        (
            SELECT array_agg((indisunique, indisprimary, substring(pg_get_indexdef(indexrelid) FROM 'USING .*'))::text
                             ORDER BY pg_get_indexdef(indexrelid))
            FROM pg_index WHERE indrelid = $1::text::regclass
        ) AS indexes
"""


def _run(url: str, members: Cast) -> tuple[list[Any], Any, Any]:
    async def run() -> tuple[list[Any], Any, Any]:
        one, other = [await asyncpg.connect(url) for _ in range(2)]  # type: ignore[no-untyped-call]  # theirs
        try:
            before = await one.fetchrow(_SHAPE, "families")
            await bulk.build(one, other, "families", "made", seeds.families(members, "aud", "testkey1", AT))
            await bulk.exchange(one, "families", "made", "put_away")
            await one.execute("DROP TABLE put_away")
            rows = await one.fetch("SELECT * FROM families ORDER BY id")
            return rows, before, await one.fetchrow(_SHAPE, "families")
        finally:
            for connection in (one, other):
                await connection.close()

    return asyncio.run(run())


def test_each_family_is_as_the_cast_says(empty_database_url: str) -> None:
    rows, before, after = _run(empty_database_url, CAST)
    assert len(rows) == CAST.families
    for number, row in enumerate(rows):
        assert row["id"] == CAST.family_id(number)
        assert row["user_id"] == CAST.user_id(CAST.user_of(number))
        assert row["session_id"] == CAST.session_id(CAST.session_of(number))
        assert row["client_id"] == CAST.client_id(CAST.client_of(number))
        assert tuple(row["scopes"]) == CAST.scopes(number)
    assert {(row["generation"], row["graced"], row["created_at"], row["ended_at"]) for row in rows} == {
        (1, False, AT, None)
    }
    assert before == after
    assert before["storage"]
    assert len(before["indexes"]) > 3


def test_more_families_than_sessions_share_them(monkeypatch: pytest.MonkeyPatch, empty_database_url: str) -> None:
    monkeypatch.setattr("benchmarks.cast.MOST_SESSIONS", 40)
    rows, _, _ = _run(empty_database_url, CAST)
    assert len({row["session_id"] for row in rows}) == 40
    assert all(row["session_id"] == CAST.session_id(n % 40) for n, row in enumerate(rows))
    assert all(row["user_id"] == CAST.user_id(n % 40 % 7) for n, row in enumerate(rows))


def test_a_query_that_fails_is_told_and_leaves_nobody_waiting(empty_database_url: str) -> None:
    async def run() -> None:
        one, other = [await asyncpg.connect(empty_database_url) for _ in range(2)]  # type: ignore[no-untyped-call]  # theirs
        rows = bulk.Rows(columns=("user_id",), query="SELECT (1 / n)::text FROM generate_series(-9, 9) AS n")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await asyncio.wait_for(bulk.build(one, other, "families", "made", rows), 10)
        for connection in (one, other):
            connection.terminate()

    asyncio.run(run())
