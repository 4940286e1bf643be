"""The console, a row each. Every row is for administrators; `door.administrator` keeps it."""

from __future__ import annotations

from bartizan.auth.admin.clients import page as clients
from bartizan.auth.admin.events import page as events
from bartizan.auth.admin.keys import page as keys
from bartizan.auth.admin.overview import page as overview
from bartizan.auth.admin.sessions import page as sessions
from bartizan.auth.admin.users import page as users
from bartizan.auth.desk import Desk
from bartizan.auth.door import Handler, administrator
from bartizan.model.route import Route, Who

PAGES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/admin", overview.show),
    ("GET", "/admin/events", events.show),
    ("GET", "/admin/users", users.find),
    ("GET", "/admin/users/{user_id}", users.show),
    ("GET", "/admin/users/{user_id}/lock", users.ask_lock),
    ("POST", "/admin/users/{user_id}/lock", users.lock),
    ("POST", "/admin/users/{user_id}/unlock", users.unlock),
    ("POST", "/admin/users/{user_id}/end-all", users.end_all),
    ("POST", "/admin/users/{user_id}/sessions/{session_id}/end", users.end_session),
    ("POST", "/admin/users/{user_id}/apps/{client_id}/end", users.end_app),
    ("GET", "/admin/sessions", sessions.ask),
    ("POST", "/admin/sessions/end-others", sessions.end_others),
    ("GET", "/admin/clients", clients.all_of_them),
    ("GET", "/admin/clients/{client_id}", clients.show),
    ("GET", "/admin/clients/{client_id}/disable", clients.ask_disable),
    ("POST", "/admin/clients/{client_id}/disable", clients.disable),
    ("POST", "/admin/clients/{client_id}/enable", clients.enable),
    ("GET", "/admin/keys", keys.show),
)


def routes(desk: Desk) -> tuple[Route, ...]:
    return tuple(
        Route(
            methods=(method,),
            path=path,
            endpoint=administrator(desk, handler),
            who=Who.ADMIN,
            form=method == "POST",
        )
        for method, path, handler in PAGES
    )
