"""The pages of this room, a row each."""

from __future__ import annotations

from bartizan.auth.desk import Desk
from bartizan.model.route import Route


def routes(desk: Desk) -> tuple[Route, ...]:
    return ()
