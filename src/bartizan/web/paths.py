"""Paths of Route rows: fixed ones by one look-up, patterned ones by one regular expression each."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bartizan.model.route import Route

_NAME = re.compile(r"\{([a-z_]+)(:path)?\}")

Methods = dict[str, Route]


def pattern(path: str) -> re.Pattern[str]:
    """`{name}` is one segment, `{name:path}` the rest, at least one character."""
    out, at = "", 0
    for found in _NAME.finditer(path):
        out += re.escape(path[at : found.start()])
        out += f"(?P<{found[1]}>.+)" if found[2] else f"(?P<{found[1]}>[^/]+)"
        at = found.end()
    return re.compile(out + re.escape(path[at:]) + r"\Z", re.DOTALL)


class Paths:
    """All routes of one server. HEAD goes with GET; two rows for one method and path are a mistake of ours."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[str, Methods] = {}
        self._patterned: dict[str, tuple[re.Pattern[str], Methods]] = {}
        for route in routes:
            if "{" in route.path:
                _, methods = self._patterned.setdefault(route.path, (pattern(route.path), {}))
            else:
                methods = self._fixed.setdefault(route.path, {})
            named = {*route.methods, *(("HEAD",) if "GET" in route.methods else ())}
            for method in named:
                if method in methods:
                    raise ValueError(f"two rows for {method} {route.path}")
                methods[method] = route

    def find(self, path: str) -> tuple[Methods, dict[str, str]] | None:
        methods = self._fixed.get(path)
        if methods is not None:
            return methods, {}
        for expression, patterned in self._patterned.values():
            found = expression.match(path)
            if found is not None:
                return patterned, found.groupdict()
        return None
