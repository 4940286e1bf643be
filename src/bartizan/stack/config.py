"""Design §7: `bartizan.toml` → `Config`. All faults at once, each with its key, its line and the one thing to do."""

from __future__ import annotations

import difflib
import re
import tomllib
import types
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from bartizan.stack.schema import Config, Duration, Reference, Size, words_of

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SIZES = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_DURATION = re.compile(r"(?:\d+[smhdw])+", re.ASCII)
_SIZE = re.compile(r"(\d+)\s*([KMGT]?B)", re.ASCII)
_T = TypeVar("_T")


class Fault(Struct, frozen=True):
    """One thing that is wrong with the file."""

    key: str  # "route[1].csrf"
    says: str  # what is wrong, and what to do
    line: int | None = None

    def sentence(self, file: str) -> str:
        where = f"{file}:{self.line}: " if self.line else "" if self.key else f"{file}: "
        return f"{where}{self.key}: {self.says}" if self.key else f"{where}{self.says}"


class BrokenConfig(Exception):  # noqa: N818 - a list of sentences for the operator
    """The file cannot be used."""

    def __init__(self, faults: tuple[Fault, ...], file: str = "bartizan.toml") -> None:
        self.faults = faults
        self.file = file
        super().__init__("\n".join(fault.sentence(file) for fault in faults))


def parse(text: str, file: str = "bartizan.toml") -> Config:
    """The file's text → Config. Raises BrokenConfig with every fault of shape."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        at = re.search(r"at line (\d+)", str(wrong))
        raise BrokenConfig((Fault("", f"not TOML: {wrong}", int(at[1]) if at else None),), file) from None
    reader = _Reader(Lines(text))
    config = reader.struct(Config, tree, ())
    if reader.faults:
        raise BrokenConfig(tuple(reader.faults), file)
    assert config is not None
    return config


def load(path: Path) -> Config:
    """Reads and parses the file at `path`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        reason = wrong.strerror if isinstance(wrong, OSError) else "it is not UTF-8"
        raise BrokenConfig((Fault("", f"cannot be read: {reason}."),), str(path)) from None
    return parse(text, str(path))


def key_name(path: tuple[str | int, ...]) -> str:
    """("route", 1, "csrf") → "route[1].csrf"."""
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


class Lines:
    """Finds the line of a key. A fault without its line is still told, so an unusual spelling costs only that."""

    _TABLE = re.compile(r"\s*\[(\[?)([^\[\]]+)\]{1,2}\s*(?:#.*)?$")
    _KEY = re.compile(r"\s*([A-Za-z0-9_.\-\"']+)\s*=")

    def __init__(self, text: str) -> None:
        self._at: dict[tuple[str | int, ...], int] = {}
        table: tuple[str | int, ...] = ()
        counts: dict[tuple[str | int, ...], int] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if header := self._TABLE.match(line):
                table = self._inside(self._split(header[2]), counts)
                if header[1]:
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, counts[table])
                self._at.setdefault(table, number)
            elif key := self._KEY.match(line):
                self._at.setdefault((*table, *self._split(key[1])), number)

    def of(self, path: tuple[str | int, ...]) -> int | None:
        while path:
            if path in self._at:
                return self._at[path]
            path = path[:-1]
        return None

    @staticmethod
    def _split(dotted: str) -> tuple[str, ...]:
        return tuple(part.strip().strip("\"'") for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.]+", dotted.strip()))

    @staticmethod
    def _inside(names: tuple[str, ...], counts: dict[tuple[str | int, ...], int]) -> tuple[str | int, ...]:
        """[a.b] below an [[a]] means the latest of them."""
        path: tuple[str | int, ...] = ()
        for name in names[:-1]:
            path = (*path, name)
            if path in counts:
                path = (*path, counts[path])
        return (*path, names[-1])


class _Reader:
    """Walks the tree beside the structs, and goes on after a fault."""

    def __init__(self, lines: Lines) -> None:
        self.faults: list[Fault] = []
        self._lines = lines

    def fault(self, path: tuple[str | int, ...], says: str) -> None:
        self.faults.append(Fault(key_name(path), says, self._lines.of(path)))

    def struct(self, kind: type[_T], tree: object, path: tuple[str | int, ...]) -> _T | None:
        if not isinstance(tree, dict):
            self.fault(path, f"must be a table, not {_kind(tree)}.")
            return None
        fields = {entry.name: entry for entry in msgspec.structs.fields(kind)}  # type: ignore[arg-type]  # a Struct type
        for name in tree:
            if name not in fields:
                near = difflib.get_close_matches(name, fields, 1, 0.6)
                hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(fields))}."
                self.fault((*path, name), f"there is no such key; {hint}")
        values: dict[str, Any] = {}
        before = len(self.faults)
        for name, entry in fields.items():
            if name in tree:
                values[name] = self._value(entry.type, tree[name], (*path, name))
            elif entry.required:
                self.fault((*path, name), "is missing.")
        return kind(**values) if len(self.faults) == before else None

    def _value(self, kind: Any, value: object, path: tuple[str | int, ...]) -> object:
        if isinstance(kind, type) and issubclass(kind, Struct) and kind is not Reference:
            return self.struct(kind, value, path)
        if get_origin(kind) is tuple and isinstance(value, list):
            return tuple(self._value(get_args(kind)[0], entry, (*path, at)) for at, entry in enumerate(value))
        if get_origin(kind) is dict and isinstance(value, dict):
            return {name: self._value(get_args(kind)[1], entry, (*path, name)) for name, entry in value.items()}
        return self._leaf(kind, value, path)

    def _leaf(self, kind: Any, value: object, path: tuple[str | int, ...]) -> object:
        secret = kind is Reference or (get_origin(kind) in (Union, types.UnionType) and Reference in get_args(kind))
        if secret and isinstance(value, str) and str not in get_args(kind):
            self.fault(path, 'a secret never stands in the file: write { file = "…" } or { env = "…" }.')
            return None
        if secret and isinstance(value, dict) and len(value) != 1:
            self.fault(path, 'write either { file = "…" } or { env = "…" }.')
            return None
        try:
            return msgspec.convert(value, kind, dec_hook=leaf, strict=True)
        except msgspec.ValidationError as wrong:
            self.fault(path, self._told(kind, value, str(wrong)))
            return None

    @staticmethod
    def _told(kind: Any, value: object, wrong: str) -> str:
        if words := words_of(kind):
            near = difflib.get_close_matches(value, words, 1, 0.6) if isinstance(value, str) else []
            hint = f"; did you mean {near[0]}?" if near else "."
            return f"{value!r} is none of {', '.join(words)}{hint}"
        return wrong[0].lower() + wrong[1:] + "."


def leaf(kind: type[Any], value: object) -> object:
    """Durations and sizes as people write them."""
    if isinstance(value, bool):
        raise ValueError("true and false have no unit here")
    if kind is Duration:
        if isinstance(value, str) and _DURATION.fullmatch(value):
            return Duration(sum(int(part[:-1]) * _UNITS[part[-1]] for part in re.findall(r"\d+[smhdw]", value)))
        if isinstance(value, int) and value >= 0:
            return Duration(value)
        raise ValueError('write a time such as "90s", "5m", "12h" or "14d"')
    if kind is Size:
        if isinstance(value, str) and (found := _SIZE.fullmatch(value)):
            return Size(int(found[1]) * _SIZES[found[2]])
        if isinstance(value, int) and value >= 0:
            return Size(value)
        raise ValueError('write a size such as "512KB", "10MB" or "2GB"')
    raise NotImplementedError(kind)


def _kind(value: object) -> str:
    names = {str: "text", int: "a number", float: "a number", bool: "true or false", list: "a list", dict: "a table"}
    return names.get(type(value), type(value).__name__)
