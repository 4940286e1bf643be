"""Addresses inside an SPA's own modules and stylesheets: those from the root get the version, too.

Relative ones stay under the version of the file that names them. One from the root would leave it, and a module that
is imported by two addresses runs twice, with two states.
"""

from __future__ import annotations

import re

# Only a literal specifier of a file that the scan found is touched; in a comment or a text it does no harm.
_IMPORT = re.compile(rb"""(\b(?:from|import)\s*\(?\s*)(["'])/([^"'\\]+)\2""")
_STYLE = re.compile(rb"""(\burl\(\s*|@import\s+)(["']?)/([^"'()\\\s]+)\2""")
_PATTERNS = {".js": _IMPORT, ".mjs": _IMPORT, ".css": _STYLE}


def versioned(suffix: str, body: bytes, prefix: str, names: frozenset[str]) -> bytes:
    pattern = _PATTERNS.get(suffix)
    if pattern is None:
        return body

    def swap(found: re.Match[bytes]) -> bytes:
        name = found[3].decode("utf-8", "replace")
        return b"".join((found[1], found[2], (prefix + name).encode(), found[2])) if name in names else found[0]

    return pattern.sub(swap, body)
