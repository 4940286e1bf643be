"""Logs: one line a happening, JSON, one format for all servers (design §1, row 9).

First `time, level, server, request_id, event`, then what the caller says. What must not be in a log is taken out
here as well, whoever put it there: secrets by the name of their key and by their shape, addresses by masking.
Nothing in a line can act on a terminal or start another line.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import msgspec
import structlog

from bartizan.monitoring.spool import Spool
from bartizan.protocol.web import privacy

Entry = MutableMapping[str, Any]

KEPT_OUT = "[kept out]"
MAX_TEXT = 8000
_SECRET_KEY = re.compile(
    r"(^|_)(password|passphrase|secret|token|cookie|authorization|code|csrf|verifier|assertion|dpop|seed)(_|$)", re.I
)
_NAMES_A_KIND = frozenset({"code", "error_code", "status_code"})  # our error and event codes: words, no secrets
_CODE_WORD = re.compile(r"[a-z0-9_.]{1,40}")
_SECRET_SHAPE = re.compile(r"\bbz[a-z]_[A-Za-z0-9_-]{16,}|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)*")
_ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w.]|:\w)")
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def configure(server: str, stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Once in each process, before the first line. Loggers of libraries come out in the same format."""
    line = _Line(server)
    out = stream or cast("TextIO", Spool(sys.stdout.fileno(), line.dropped))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.addHandler(_Library())
    root.setLevel(logging.WARNING)


class _Line:
    """The last processor: order, cleaning, JSON."""

    def __init__(self, server: str) -> None:
        self._server = server

    def __call__(self, _logger: object, _method: str, entry: Entry) -> str:
        ordered = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": entry.pop("level", "info"),
            "server": entry.pop("server", self._server),
            "request_id": entry.pop("request_id", ""),
            "event": entry.pop("event", ""),
            **entry,
        }
        cleaned = {key: clean(key, value) for key, value in ordered.items() if key != "time"}
        return safe(msgspec.json.encode({"time": ordered["time"], **cleaned}, enc_hook=str).decode())

    def dropped(self, lines: int) -> str:
        return self(None, "", {"level": "warning", "event": "logs.dropped", "lines": lines})


class _Library(logging.Handler):
    """What libraries say through `logging`."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            structlog.get_logger().log(
                record.levelno, "library", logger=record.name, message=record.getMessage(), exc_info=record.exc_info
            )
        except Exception:  # as logging.Handler asks: a broken record must not break who wrote it
            self.handleError(record)


def clean(key: str, value: object) -> object:
    """Pure: the value as it may be logged."""
    if _SECRET_KEY.search(key) and not (key in _NAMES_A_KIND and _CODE_WORD.fullmatch(str(value))):
        return value if value in (None, "") or isinstance(value, (bool, int, float)) else KEPT_OUT
    if isinstance(value, str):
        return _ADDRESS.sub(_masked, _SECRET_SHAPE.sub(KEPT_OUT, value[:MAX_TEXT]))
    if isinstance(value, dict):
        return {str(name): clean(str(name), part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean("", part) for part in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return clean("", str(value))


def safe(line: str) -> str:
    """JSON leaves C1 controls, bidi marks and line separators as they are; a terminal obeys them. So: escaped."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", line)


def _masked(found: re.Match[str]) -> str:
    text = found.group()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text  # a time, a version, a MAC
    if address.is_loopback or address.is_unspecified:
        return text
    return privacy.mask(text)
