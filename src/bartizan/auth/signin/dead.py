"""A link that does not work: unknown, late and used look the same."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth.desk import Desk


def dead(desk: Desk, request: Request) -> Response:
    return desk.page(request, "signin/dead.html", status=410)
