"""CSP Level 3 for a static page: `index.html` with its inline scripts hashed, never allowed wholesale (design §4)."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from bartizan.frontend.settings import FrontendSettings
from bartizan.protocol.web import headers, origins
from bartizan.protocol.web.csp import Policy

REPORTS = "/bff/csp-report"
_AS_IT_IS = "surrogateescape"  # a page in another encoding goes out byte for byte

_TAG = re.compile(r"<(script|link|img|source)\b[^>]*>", re.IGNORECASE)
_ADDRESS = re.compile(r"""((?<![\w-])(?:src|href)\s*=\s*)(["'])([^"']*)\2""", re.IGNORECASE)
_REL = re.compile(r"""\brel\s*=\s*["']?([a-z -]+)""", re.IGNORECASE)
_LINKED = frozenset({"stylesheet", "modulepreload", "preload", "icon"})
_INLINE = re.compile(r"<(script|style)\b([^>]*)>(.*?)</\1\s*>", re.IGNORECASE | re.DOTALL)
_HAS_SRC = re.compile(r"(?<![\w-])src\s*=", re.IGNORECASE)


class Page(Struct, frozen=True):
    body: bytes
    etag: str
    headers: tuple[tuple[str, str], ...]


def prepare(raw: bytes, prefix: str, names: frozenset[str], settings: FrontendSettings) -> Page:
    """The page with versioned addresses, and the headers that fit exactly these bytes."""
    text = _TAG.sub(lambda tag: _versioned(tag, prefix, names), raw.decode("utf-8", _AS_IT_IS))
    policy = policy_for(text, settings)
    body = text.encode("utf-8", _AS_IT_IS)
    etag = f'"{hashlib.sha256(body + policy.render().encode()).hexdigest()[:32]}"'
    return Page(body, etag, _headers(policy.render(), settings))


def _headers(csp: str, settings: FrontendSettings) -> tuple[tuple[str, str], ...]:
    """`report-to` makes Chromium forget `report-uri`, and takes https alone: over http it would lose every report."""
    if not origins.parse(settings.app_origin).https:
        return headers.security_headers(https=False, csp=csp)
    security = headers.security_headers(https=True, csp=f"{csp}; report-to csp")
    return (*security, ("Reporting-Endpoints", f'csp="{settings.app_origin}{REPORTS}"'))


def _versioned(tag: re.Match[str], prefix: str, names: frozenset[str]) -> str:
    """Addresses of files that we have get the version; anything else stays as it is."""
    if tag[1].lower() == "link":
        rel = _REL.search(tag[0])
        if rel is None or not _LINKED & set(rel[1].lower().split()):
            return tag[0]

    def swap(found: re.Match[str]) -> str:
        name = found[3].removeprefix("./").removeprefix("/")
        plain = not found[3].startswith("//") and name in names
        return f"{found[1]}{found[2]}{prefix}{name}{found[2]}" if plain else found[0]

    return _ADDRESS.sub(swap, tag[0])


def policy_for(text: str, settings: FrontendSettings) -> Policy:
    """Strict, plus what this very page has inline by hash, plus the files origin, plus what the config adds."""
    inline: dict[str, list[str]] = {}
    for kind, attributes, content in _INLINE.findall(text):
        if not _HAS_SRC.search(attributes) and content:
            inline.setdefault(f"{kind.lower()}-src", []).append(_hash(content))
    policy = Policy().reporting(REPORTS).adding(inline)
    policy = policy.adding({"img-src": ["data:"], "form-action": [settings.id_origin]})  # sign-out ends at `id` (F§5)
    if settings.files_origin:
        policy = policy.adding(dict.fromkeys(("img-src", "media-src", "connect-src"), (settings.files_origin,)))
    return policy.adding(settings.csp)


def _hash(content: str) -> str:
    normal = content.replace("\r\n", "\n").replace("\r", "\n")  # HTML standard §13.2.3.5: what the parser hands on
    return f"'sha256-{b64encode(hashlib.sha256(normal.encode('utf-8', _AS_IT_IS)).digest()).decode('ascii')}'"


def serve(request: Request, page: Page) -> Response:
    named = {**dict(page.headers), "cache-control": "no-cache", "etag": page.etag}
    if page.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=named)
    return Response(page.body, headers={**named, "content-type": "text/html; charset=utf-8"})
