"""All addresses of the auth server, a row each: its app mounts them, the gateway compiles them (§2)."""

from __future__ import annotations

from bartizan.auth import desk as pages_desk
from bartizan.auth import endpoints, pages, server
from bartizan.auth.desk import Desk
from bartizan.auth.ports import AuthPorts
from bartizan.auth.settings import AuthSettings
from bartizan.model.route import Route


def routes(settings: AuthSettings, ports: AuthPorts) -> tuple[Route, ...]:
    return of_desk(settings, ports, pages_desk.build(ports, settings))


def of_desk(settings: AuthSettings, ports: AuthPorts, desk: Desk) -> tuple[Route, ...]:
    return (*endpoints.routes(server.build(settings, ports)), *pages.routes(desk))
