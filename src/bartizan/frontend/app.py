"""Server 3 put together: the BFF endpoints and the SPA, on the app origin."""

from __future__ import annotations

from starlette.types import ASGIApp

from bartizan.frontend.look import pages
from bartizan.frontend.ports import FrontendPorts
from bartizan.frontend.routes import routes
from bartizan.frontend.settings import FrontendSettings
from bartizan.frontend.spa import Spa
from bartizan.model.route import Origin, Route, Who
from bartizan.protocol.web import origins
from bartizan.web.headers import always
from bartizan.web.mount import mount


def build(settings: FrontendSettings, ports: FrontendPorts) -> ASGIApp:
    return mount(
        (*routes(settings, ports), *spa_rows(settings)),
        server="frontend",
        page=pages(settings, ports).failure,
        headers=always(https=origins.parse(settings.app_origin).https),
        meter=ports.meter,
    )


def spa_rows(settings: FrontendSettings) -> tuple[Route, ...]:
    """Everything else. Not in the table that the gateway compiles: there the config's own routes decide."""
    if settings.spa_dir is None:
        return ()
    spa = Spa(settings.spa_dir, settings)
    paths = ("/", "/{path:path}")
    return tuple(
        Route(methods=("GET",), path=path, endpoint=spa, who=Who.ANYONE, origin=Origin.APP, body_limit=0)
        for path in paths
    )
