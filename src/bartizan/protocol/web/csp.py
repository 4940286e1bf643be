"""Content Security Policy, Level 3: a value that starts strict, and to which a route may add.

Adding can widen by named hosts only. What undoes the policy (`'unsafe-inline'`, `*`, `https:` for scripts) has a method
of its own, whose name says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

_SOURCE = re.compile(r"[!-+\--:<-~]+", re.ASCII)  # printable, without space, comma and semicolon
_DIRECTIVE = re.compile(r"[a-z]+(-[a-z]+)*", re.ASCII)
_NONCE = re.compile(r"[A-Za-z0-9_-]{22,}", re.ASCII)

_SCRIPTING = frozenset({"default-src", "script-src", "script-src-elem", "style-src", "style-src-elem", "object-src"})
_TOO_WIDE = frozenset({"*", "http:", "https:", "http://*", "https://*", "data:", "blob:", "filesystem:"})
_UNSAFE = ("'unsafe-inline'", "'unsafe-eval'", "'unsafe-hashes'", "'wasm-unsafe-eval'")
_FETCH = re.compile(r"[a-z]+-src(-elem|-attr)?", re.ASCII)
_NONE = "'none'"


class Policy(Struct, frozen=True):
    """Directives in the order in which they are written."""

    directives: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("default-src", ("'self'",)),
        ("script-src", ("'self'",)),
        ("style-src", ("'self'",)),
        ("object-src", (_NONE,)),
        ("base-uri", (_NONE,)),
        ("form-action", ("'self'",)),
        ("frame-ancestors", (_NONE,)),
    )
    report_to: str = ""  # an address of the same origin that takes reports

    def adding(self, additions: Mapping[str, Iterable[str]]) -> Self:
        """More sources, by directive. `'none'` gives way; a fetch directive not there yet starts as default-src."""
        return self._added(additions, unsafe=False)

    def unsafely_adding(self, additions: Mapping[str, Iterable[str]]) -> Self:
        """The same without the check for sources that undo the policy: development servers need it, nothing else."""
        return self._added(additions, unsafe=True)

    def with_nonce(self, nonce: str) -> Self:
        """For one response: its own script and style elements carry this nonce. 128 fresh random bits, base64url."""
        if not _NONCE.fullmatch(nonce):
            raise ValueError("a nonce has 128 random bits in base64url")
        source = (f"'nonce-{nonce}'",)
        return self._added({"script-src": source, "style-src": source}, unsafe=True)

    def reporting(self, report_to: str) -> Self:
        if not report_to.startswith("/") or not _SOURCE.fullmatch(report_to):
            raise ValueError("reports go to a path of the same origin")
        return replace(self, report_to=report_to)

    def render(self) -> str:
        """The value of Content-Security-Policy. `report-uri` is what every browser understands."""
        parts = [" ".join((name, *sources)) for name, sources in self.directives]
        if self.report_to:
            parts.append(f"report-uri {self.report_to}")
        return "; ".join(parts)

    def sources(self, directive: str) -> tuple[str, ...]:
        return dict(self.directives).get(directive, ())

    def _added(self, additions: Mapping[str, Iterable[str]], *, unsafe: bool) -> Self:
        directives = dict(self.directives)
        for name, values in additions.items():
            more = (values,) if isinstance(values, str) else tuple(values)
            _check(name, more, unsafe=unsafe)
            start = directives.get(name, directives.get("default-src", ()) if _FETCH.fullmatch(name) else ())
            kept = [source for source in start if source != _NONE]
            directives[name] = tuple(dict.fromkeys((*kept, *more))) or start
        return replace(self, directives=tuple(directives.items()))


# What user content is shown under (flows §10): nothing of it runs.
SANDBOX = Policy((("sandbox", ()), ("default-src", (_NONE,))))
# For JSON and other answers that are no page.
NOTHING = Policy((("default-src", (_NONE,)), ("frame-ancestors", (_NONE,))))


def _check(name: str, sources: tuple[str, ...], *, unsafe: bool) -> None:
    if not _DIRECTIVE.fullmatch(name):
        raise ValueError(f"{name!r} is no CSP directive")
    for source in sources:
        if not _SOURCE.fullmatch(source):
            raise ValueError(f"{source!r} is no CSP source")
        if unsafe:
            continue
        if source == _NONE:
            raise ValueError(f"{_NONE} cannot be added to {name}")
        low = source.lower()
        if low in _UNSAFE or low == "*" or (name in _SCRIPTING and low in _TOO_WIDE):
            raise ValueError(f"{source} in {name} undoes the policy: name hosts, use the nonce, or `unsafely_adding`")
