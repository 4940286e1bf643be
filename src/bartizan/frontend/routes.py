"""The frontend's endpoints, a row each. The SPA is no row: it answers every other path (`app.py`)."""

from __future__ import annotations

from collections.abc import Callable

from bartizan.frontend.bff import Bff
from bartizan.frontend.callback import Callback
from bartizan.frontend.client import modules
from bartizan.frontend.login import Login
from bartizan.frontend.logout import Ask, SignOut
from bartizan.frontend.look import look, pages
from bartizan.frontend.ports import FrontendPorts
from bartizan.frontend.renew import BODY_LIMIT as REPLAYED_LIMIT
from bartizan.frontend.renew import METHODS, Renew
from bartizan.frontend.reports import BODY_LIMIT, Reports
from bartizan.frontend.session import Refresh, Session
from bartizan.frontend.settings import FrontendSettings
from bartizan.model.route import Origin, Route, Who


def routes(settings: FrontendSettings, ports: FrontendPorts) -> tuple[Route, ...]:
    bff = Bff(settings, ports, pages(settings, ports))
    ours = (
        _row(("GET",), "/bff/login", Login(bff), Who.ANYONE, limit="300/minute"),
        _row(("GET",), "/bff/callback", Callback(bff), Who.ANYONE, limit="300/minute"),
        _row(("GET",), "/bff/session", Session(bff), Who.BROWSER),
        _row(("POST",), "/bff/refresh", Refresh(bff), Who.BROWSER),
        _row(METHODS, "/bff/renew", Renew(bff), Who.BROWSER, body_limit=REPLAYED_LIMIT, stream=True),
        _row(("GET",), "/bff/logout", Ask(bff), Who.BROWSER),
        _row(("POST",), "/bff/logout", SignOut(bff), Who.BROWSER),
        _row(("POST",), "/bff/csp-report", Reports(ports), Who.ANYONE, body_limit=BODY_LIMIT, limit="300/minute"),
    )
    modules_ = (_row(("GET",), path, module, Who.ANYONE) for path, module in modules(settings.mode))
    return (*ours, *modules_, *look().routes(Origin.APP))


def _row(
    methods: tuple[str, ...],
    path: str,
    endpoint: Callable[..., object],
    who: Who,
    *,
    limit: str = "",
    body_limit: int = 16 * 1024,
    stream: bool = False,
) -> Route:
    return Route(
        methods=methods,
        path=path,
        endpoint=endpoint,
        who=who,
        origin=Origin.APP,
        limit=limit,
        body_limit=body_limit,
        stream=stream,
    )
