"""The site that most gateway tests share: one of every kind of route."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from tests.gateway.site import Site, make_site

from bartizan.gateway.settings import Access, AppRoute, GatewaySettings, OwnServer, PassHost
from bartizan.model.route import Origin, Route, Who
from bartizan.protocol.web.csrf import Rule

PARTNER = "http://partner.example"


async def _nothing(request: Request) -> Response:
    raise NotImplementedError  # the echo servers answer; the row only has to name something


def row(methods: str, path: str, who: Who, origin: Origin = Origin.ID, **more: object) -> Route:
    return Route(methods=tuple(methods.split()), path=path, endpoint=_nothing, who=who, origin=origin, **more)  # type: ignore[arg-type]  # keywords of Route


OWN = (
    OwnServer(
        name="auth",
        socket=Path(),
        routes=(
            row("POST", "/token", Who.CLIENT, cors="clients", body_limit=1000),
            row("GET", "/jwks", Who.ANYONE, cors="public"),
            row("GET POST", "/signin", Who.ANYONE, limit="1000/minute", form=True),
            row("POST", "/limited", Who.ANYONE, limit="3/minute"),
            row("GET", "/setup/{token}", Who.ANYONE),
            row("GET", "/static/{path:path}", Who.ANYONE),
        ),
    ),
    OwnServer(name="inbox", socket=Path(), prefixes=((Origin.ID, "/dev/inbox"),)),
    OwnServer(
        name="frontend",
        socket=Path(),
        routes=(
            row("GET POST PUT PATCH DELETE", "/bff/renew", Who.BROWSER, Origin.APP, body_limit=4 * 1024 * 1024),
            row("GET", "/bff/client.js", Who.ANYONE, Origin.APP),
        ),
    ),
    OwnServer(
        name="files",
        socket=Path(),
        routes=(
            row("GET", "/files", Who.TOKEN, Origin.APP, scope="files.read"),
            row("POST", "/files", Who.TOKEN, Origin.APP, scope="photos.write", stream=True, body_limit=2_000_000),
            row("GET", "/f/{file_id}/{mac}", Who.ANYONE, Origin.FILES),
        ),
    ),
)
APP = (
    AppRoute(path="/api/", to="app:api", websocket=True, cors_origins=(PARTNER,), body_limit=200_000),
    AppRoute(path="/api/photos/", to="app:api", scope="photos.read"),
    AppRoute(path="/api/admin", to="app:api", scope="admin"),
    AppRoute(path="/api/stream/", to="app:api", stream=True, body_limit=3_000_000),
    AppRoute(path="/api/limited/", to="app:api", limit="3/minute per user"),
    AppRoute(path="/api/inner/", to="app:api", strip_prefix=True),
    AppRoute(path="/maybe/", to="app:api", access=Access.OPTIONAL, csrf=Rule.TOKEN),
    AppRoute(path="/form/", to="app:api", csrf=Rule.FORM),
    AppRoute(path="/beacon/", to="app:api", csrf=Rule.ORIGIN),
    AppRoute(path="/open/", to="app:api", access=Access.PUBLIC, websocket=True, cors_origins=(PARTNER,)),
    AppRoute(path="/dead/", to="app:dead", access=Access.PUBLIC, cors_origins=(PARTNER,)),
    AppRoute(path="/", to="socket:frontend", access=Access.PUBLIC),
)

TEMPLATE = GatewaySettings(
    app_origin="",
    id_origin="",
    files_origin="",
    own=OWN,
    app_routes=APP,
    hosts=(PassHost(origin="http://print.localhost", to="app:print"),),
    client_origins=(PARTNER,),
    auth_address="unix:/nowhere",
    config_dir=Path(),
    admin_socket=Path(),
)


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    made = make_site(TEMPLATE, own=("auth", "inbox", "frontend", "files"), apps=("api", "print"))
    try:
        made.start()
        yield made
    finally:
        made.stop()
