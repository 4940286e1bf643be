"""Records to rows and back. A column has its field's name, so one list of names serves both ways."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from bartizan.database.connection import Row

T = TypeVar("T", bound=Struct)

JSON = frozenset({"detail", "public_jwk"})  # jsonb columns, which asyncpg hands over as text


def names(kind: type[Struct], *, prefix: str = "") -> str:
    """`id, user_id, …`, for SELECT and INSERT."""
    return ", ".join(prefix + name for name in kind.__struct_fields__)


def marks(kind: type[Struct], *, after: int = 0) -> str:
    """`$1, $2, …`, one a field."""
    return ", ".join(f"${number}" for number in range(after + 1, after + 1 + len(kind.__struct_fields__)))


def values(record: Struct) -> tuple[Any, ...]:
    return tuple(_value(name, getattr(record, name)) for name in record.__struct_fields__)


def as_json(records: Iterable[Struct]) -> str:
    """For `json_populate_recordset(NULL::<table>, $1)`: many rows as one parameter, by their columns' names. It costs
    a fifth of binding each value of each row."""
    return msgspec.json.encode([_plain(record) for record in records]).decode()


def _plain(record: Struct) -> dict[str, Any]:
    given = msgspec.structs.asdict(record)
    return {name: f"\\x{value.hex()}" if isinstance(value, bytes) else value for name, value in given.items()}


def _value(name: str, value: Any) -> Any:
    return msgspec.json.encode(value).decode() if name in JSON else value


def read(kind: type[T], row: Row) -> T:
    """Columns beyond the record's are left out."""
    found = dict(row)
    for name in JSON & found.keys():
        found[name] = msgspec.json.decode(found[name])
    return msgspec.convert(found, kind)


def read_or_none(kind: type[T], row: Row | None) -> T | None:
    return None if row is None else read(kind, row)
