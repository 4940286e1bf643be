"""Fetch metadata (W3C): what kind of request the browser says this is. No script can set these headers."""

from __future__ import annotations

from starlette.requests import Request

from bartizan.protocol.refusal import Refused
from bartizan.web import caller


def is_navigation(request: Request) -> bool:
    """Somebody looks at the answer: a page, in a tab or a frame. Browsers without the headers: by what they accept."""
    mode = request.headers.get("sec-fetch-mode")
    return caller.wants_page(request) if mode is None else mode == "navigate"


def from_same_origin(request: Request) -> bool:
    return request.headers.get("sec-fetch-site") == "same-origin"


def from_another_site(request: Request) -> bool:
    return request.headers.get("sec-fetch-site") == "cross-site"


def demand_document(request: Request) -> None:
    """Only a person's own navigation of a whole tab: no frame, no script, no prefetch may begin or end a sign-in."""
    destination = request.headers.get("sec-fetch-dest", "document")
    if not is_navigation(request) or destination != "document" or "sec-purpose" in request.headers:
        raise Refused(
            "invalid_request", "This address is for opening in a tab.", "not a document navigation", status=403
        )
