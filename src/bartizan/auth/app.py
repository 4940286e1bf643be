"""Server 1: the auth server as one ASGI app."""

from __future__ import annotations

from starlette.types import ASGIApp

from bartizan.auth import desk as pages_desk
from bartizan.auth.endpoints.cors import Cors, RegisteredOrigins
from bartizan.auth.ports import AuthPorts
from bartizan.auth.routes import of_desk
from bartizan.auth.settings import AuthSettings
from bartizan.web.headers import always
from bartizan.web.mount import mount


def build(settings: AuthSettings, ports: AuthPorts) -> ASGIApp:
    desk = pages_desk.build(ports, settings)
    rows = of_desk(settings, ports, desk)
    mounted = mount(
        rows,
        server="auth",
        page=desk.pages.failure,
        headers=always(https=settings.issuer.startswith("https:")),
        meter=ports.meter,
    )
    return Cors(mounted, rows, RegisteredOrigins(ports))
