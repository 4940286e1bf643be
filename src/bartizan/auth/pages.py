"""All pages of auth as Route rows: sign-in, account, console, and their static files."""

from __future__ import annotations

from bartizan.auth.account import routes as account
from bartizan.auth.admin import routes as admin
from bartizan.auth.desk import Desk
from bartizan.auth.signin import routes as signin
from bartizan.model.route import Route


def routes(desk: Desk) -> tuple[Route, ...]:
    """`desk = desk.build(ports, settings)`; the server is mounted with `page=desk.pages.failure`."""
    return (*signin.routes(desk), *account.routes(desk), *admin.routes(desk), *desk.static.routes())
