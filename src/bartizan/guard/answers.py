"""What the adapters send: the headers of every answer, and the body of a refusal. Pure, so that all send the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from secrets import token_urlsafe

from bartizan.guard.policy import Grant, RoutePolicy, Who
from bartizan.protocol.refusal import Refused, Unavailable
from bartizan.protocol.web import cors, origins
from bartizan.protocol.web.cors import Cors
from bartizan.protocol.web.csp import Policy
from bartizan.protocol.web.headers import Headers, security_headers

_SLOT = "bartizan-nonce-goes-here"
_CSP = "content-security-policy"


class Exchange:
    """One request under way, from the wrapper around the app to the header list of its answer."""

    __slots__ = ("grant", "nonce", "preflight", "route")

    def __init__(self) -> None:
        self.route: RoutePolicy | None = None
        self.grant: Grant | None = None
        self.nonce = ""
        self.preflight: Headers | None = None  # set: the answer to a preflight

    def csp_nonce(self) -> str:
        """128 fresh random bits, the same through one response. Only a response that asked for it names it."""
        if not self.nonce:
            self.nonce = token_urlsafe(16)
        return self.nonce


class Answers:
    def __init__(
        self, *, app_origin: str, csp: Policy | Mapping[str, Iterable[str]] | None, cors_policy: Cors | None
    ) -> None:
        self._csp = csp if isinstance(csp, Policy) else Policy().reporting("/bff/csp-report").adding(csp or {})
        self._https = origins.parse(app_origin).https
        self._cors = cors_policy
        self._sets: dict[object, tuple[Headers, Headers]] = {}  # additions → headers without and with the nonce's slot

    def cors_of(self, route: RoutePolicy | None) -> Cors | None:
        return self._cors if route is None or route.cors is None else route.cors

    def headers(self, sent: Iterable[tuple[str, str]], exchange: Exchange, origin: str | None) -> list[tuple[str, str]]:
        """The answer's header list. What the app set itself stays, but for CORS, which only the guard decides.

        A CSP of the app's stands beside ours, and browsers keep to both.
        """
        kept = [(name, value) for name, value in sent if not name.lower().startswith("access-control-")]
        present = {name.lower(): value for name, value in kept}
        kept += [row for row in self._security(exchange) if row[0].lower() not in present or row[0].lower() == _CSP]
        answering = exchange.preflight
        kept += cors.response_headers(self.cors_of(exchange.route), origin) if answering is None else answering
        # Flows §11: what was made for somebody is stored nowhere. `no-cache` is what frameworks set unasked.
        if _is_private(exchange) and present.get("cache-control", "no-cache") == "no-cache":
            kept = [row for row in kept if row[0].lower() != "cache-control"]
            kept.append(("Cache-Control", "no-store"))
        return kept

    def preflight(self, route: RoutePolicy | None, origin: str | None, method: str | None) -> Headers:
        return cors.preflight_headers(self.cors_of(route), origin, method)

    def _security(self, exchange: Exchange) -> Headers:
        additions = () if exchange.route is None else exchange.route.csp
        found = self._sets.get(additions)
        if found is None:
            policy = self._csp.adding(dict(additions))
            plain, slotted = policy.render(), policy.with_nonce(_SLOT).render()
            found = (security_headers(https=self._https, csp=plain), security_headers(https=self._https, csp=slotted))
            self._sets[additions] = found
        if not exchange.nonce:
            return found[0]
        (name, value), *others = found[1]
        return ((name, value.replace(_SLOT, exchange.nonce)), *others)


def _is_private(exchange: Exchange) -> bool:
    """Somebody's answer, and every refusal: only a route that is public may be stored."""
    return exchange.route is not None and exchange.route.who is not Who.PUBLIC


_TITLES = {401: "Sign in first", 403: "Not allowed", 404: "Nothing here", 503: "One moment"}


def refusal(no: Refused | Unavailable, *, html: bool) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body. The note stays in the log."""
    more: Headers
    if isinstance(no, Unavailable):
        status, code, tell, more = 503, "unavailable", "try again in a moment", (("Retry-After", str(no.retry_after)),)
    else:
        status, code, tell = no.status, no.code, no.tell
        more = no.headers
    if html:
        kind = "text/html; charset=utf-8"
        text = _page(_TITLES.get(status, "That did not work"), f"{tell[:1].upper()}{tell[1:]}", code)
    else:
        kind, text = "application/json", json.dumps({"error": code, "error_description": tell}) + "\n"
    body = text.encode()
    return status, [("Content-Type", kind), ("Content-Length", str(len(body))), *more], body


def _page(title: str, tell: str, code: str) -> str:
    """Without a style: the app's CSP may allow none. A browser's own light or dark colours do."""
    return (
        '<!doctype html><html lang="en" dir="ltr"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{title}</title></head>'
        f"<body><main><h1>{title}</h1><p>{escape(tell.rstrip('.'))}.</p>"
        f'<p><a id="cancel" href="/">Go to the app</a></p><p><small>Code <code id="error-code">{escape(code)}</code>'
        "</small></p></main></body></html>\n"
    )


def wants_html(accept: str | None) -> bool:
    """A browser that shows a page says so first; scripts and tools do not."""
    return (accept or "").lstrip().startswith("text/html")
