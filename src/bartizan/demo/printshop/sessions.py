"""Sessions of the print shop: the browser holds a random name, everything else stays here, in memory, for a time."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from threading import Lock
from typing import Any

LIFETIME = 12 * 3600
LIMIT = 5000


class Sessions:
    """Oldest out first. A restart of the shop forgets all: people connect again."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()
        self._lock = Lock()

    def start(self) -> str:
        name = secrets.token_urlsafe(24)
        with self._lock:
            self._rows[name] = (time.monotonic() + LIFETIME, {})
            while len(self._rows) > LIMIT:
                self._rows.popitem(last=False)
        return name

    def of(self, name: str | None) -> dict[str, Any] | None:
        with self._lock:
            ends, values = self._rows.get(name or "", (0.0, {}))
            if ends < time.monotonic():
                self._rows.pop(name or "", None)
                return None
            return values

    def end(self, name: str | None) -> None:
        with self._lock:
            self._rows.pop(name or "", None)


class Pending:
    """Authlib's `cache` port: state, nonce and code verifier of a sign-in under way stay on the server."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> Any:
        with self._lock:
            ends, value = self._rows.get(key, (0.0, None))
            return value if ends > time.monotonic() else None

    def set(self, key: str, value: Any, expires: int | None = None) -> None:
        with self._lock:
            self._rows[key] = (time.monotonic() + (expires or 600), value)
            while len(self._rows) > LIMIT:
                self._rows.popitem(last=False)

    def delete(self, key: str) -> None:
        with self._lock:
            self._rows.pop(key, None)
