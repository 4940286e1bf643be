"""CSP Level 3 §5, Reporting API: `/bff/csp-report` takes what browsers say they stopped.

Anybody can send one, so nothing is believed: sizes are bounded, addresses are cut to what an operator needs, and only
so many a minute become events.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bartizan.frontend.ports import FrontendPorts
from bartizan.model.event import Event
from bartizan.model.limit import Limit, Try
from bartizan.protocol.refusal import Refused, Unavailable
from bartizan.web import caller

BODY_LIMIT = 32 * 1024
_MOST_IN_ONE = 10
_EVENTS = Limit(60, 60)
_TYPES = ("application/csp-report", "application/reports+json", "application/json")
_DIRECTIVE = re.compile(r"[a-z-]{3,40}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# Directives that may become a metric label; a made-up one must not make a time series.
_KNOWN = frozenset(
    {
        "default-src",
        "script-src",
        "script-src-elem",
        "script-src-attr",
        "style-src",
        "style-src-elem",
        "style-src-attr",
        "img-src",
        "font-src",
        "connect-src",
        "media-src",
        "object-src",
        "frame-src",
        "worker-src",
        "manifest-src",
        "base-uri",
        "form-action",
        "frame-ancestors",
        "trusted-types",
        "require-trusted-types-for",
    }
)


class Reports:
    def __init__(self, ports: FrontendPorts) -> None:
        self._ports = ports

    async def __call__(self, request: Request) -> Response:
        found = parse(request.headers.get("content-type", ""), await request.body())
        for detail in found:
            directive = detail["directive"]
            self._ports.meter.count("csp_reports", directive=directive if directive in _KNOWN else "other")
            if await self._may_record():
                event = Event(
                    code="csp.report",
                    request_id=caller.request_id(request),
                    address=caller.address(request) or None,
                    detail=detail,
                )
                async with self._ports.store.transaction() as records:
                    await records.events.record(event)
        return Response(status_code=204, headers={"cache-control": "no-store"})

    async def _may_record(self) -> bool:
        """A page that fails in a loop must not fill the event store. With the cache away: counted only."""
        try:
            (taken,) = await self._ports.limits.take(Try("csp.report", "all", _EVENTS))
        except Unavailable:
            return False
        return taken.allowed


def parse(content_type: str, raw: bytes) -> list[dict[str, str]]:
    """What is worth keeping of each violation, from the format of `report-uri` or of the Reporting API."""
    if content_type.partition(";")[0].strip().lower() not in _TYPES:
        raise Refused("invalid_request", "This address takes CSP reports.", "content type", status=415)
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused("invalid_request", "The report is no JSON.", "not JSON") from None
    if isinstance(value, dict):
        bodies = [value.get("csp-report")]
    elif isinstance(value, list):
        violations = [one for one in value[:_MOST_IN_ONE] if isinstance(one, dict)]
        bodies = [one.get("body") for one in violations if one.get("type") == "csp-violation"]
    else:
        bodies = []
    details = [_detail(body) for body in bodies if isinstance(body, dict)]
    if not details and not (isinstance(value, list) and value):  # reports of other types are let pass unread
        raise Refused("invalid_request", "The report holds no violation.", "no report in it")
    return details


def _detail(body: dict[str, Any]) -> dict[str, str]:
    """Both spellings; of addresses the path at most, as queries hold what is nobody's business."""
    directive = _first(body, "effectiveDirective", "effective-directive", "violated-directive").partition(" ")[0]
    line = body.get("lineNumber", body.get("line-number"))
    detail = {
        "directive": directive if _DIRECTIVE.fullmatch(directive) else "unknown",
        "blocked": _origin(_first(body, "blockedURL", "blocked-uri")),
        "page": _path(_first(body, "documentURL", "document-uri")),
        "source": _path(_first(body, "sourceFile", "source-file")),
        "line": str(line) if isinstance(line, int) and 0 <= line < 10**9 else "",
        "disposition": "report" if body.get("disposition") == "report" else "enforce",
    }
    return {name: value for name, value in detail.items() if value}


def _first(body: dict[str, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := body.get(name), str) and value), "")


def _origin(text: str) -> str:
    """`https://evil.example`, or one of the words (`inline`, `eval`, `data`)."""
    try:
        parts = urlsplit(text)
        return _clean(
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else parts.path or parts.scheme
        )
    except ValueError:
        return "unreadable"


def _path(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        return "unreadable"
    return _clean(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else parts.path)


def _clean(text: str) -> str:
    return _CONTROL.sub("", text)[:200]
