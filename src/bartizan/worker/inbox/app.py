"""The pages of the dev inbox, under `/dev/inbox` at the id origin: a list, a mail, and the mail's own HTML.

A mail is hostile until shown otherwise: its HTML is framed with `sandbox=""` and served with CSP `sandbox`, so that
opened by itself it is an origin of its own too, and nothing in it runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from bartizan.model.route import Origin, Route, Who
from bartizan.protocol.refusal import Refused
from bartizan.protocol.web.csp import Policy
from bartizan.protocol.web.csrf import origin_test
from bartizan.web.mount import mount
from bartizan.web.pages import LOOK, POLICY, Pages, Site, see_other
from bartizan.web.static import Static
from bartizan.worker.inbox.box import Box, Caught
from bartizan.worker.settings import InboxSettings

PATH = "/dev/inbox"
VIEWS = ("html", "text", "source", "headers")

FRAMING = POLICY.adding({"frame-src": ["'self'"]})
MAIL = Policy(
    (
        ("sandbox", ()),
        ("default-src", ("'none'",)),
        ("style-src", ("'unsafe-inline'",)),  # mails carry their styles in themselves; in a sandbox they reach nothing
        ("img-src", ("data:",)),
        ("frame-ancestors", ("'self'",)),
    )
)


def build(settings: InboxSettings, box: Box, clock: Callable[[], datetime]) -> ASGIApp:
    static = Static(LOOK, prefix=f"{PATH}/static")
    site = Site("Dev inbox", settings.id_origin, PATH, "All mail")
    pages = Pages(site, static, Path(__file__).parent / "templates", clock=clock)
    return mount((*routes(settings, box, pages), *static.routes(Origin.ID)), server="inbox", page=pages.failure)


def routes(settings: InboxSettings, box: Box, pages: Pages) -> tuple[Route, ...]:
    inbox = Inbox(settings, box, pages)
    return (
        _row("GET", PATH, inbox.all),
        _row("POST", f"{PATH}/clear", inbox.clear, form=True),
        _row("GET", f"{PATH}/{{mail_id}}", inbox.one),
        _row("GET", f"{PATH}/{{mail_id}}/html", inbox.html),
    )


def _row(method: str, path: str, endpoint: Callable[..., object], *, form: bool = False) -> Route:
    return Route(methods=(method,), path=path, endpoint=endpoint, who=Who.ANYONE, body_limit=4096, form=form)


class Inbox:
    def __init__(self, settings: InboxSettings, box: Box, pages: Pages) -> None:
        self._origin = settings.id_origin
        self._box = box
        self._pages = pages

    async def all(self, request: Request) -> Response:
        mails = await asyncio.to_thread(self._box.all)
        return self._render(request, mails, mails[0] if mails else None, "html", layout="list-only")

    async def one(self, request: Request) -> Response:
        mail = await self._mail(request)
        view = request.query_params.get("view", "html" if mail.html else "text")
        if view not in VIEWS:
            raise Refused("not_found", "There is no page at this address.", status=404)
        await asyncio.to_thread(self._box.mark_seen, mail.id)
        mails = await asyncio.to_thread(self._box.all)
        return self._render(request, mails, mail, view, layout="mail-only")

    async def html(self, request: Request) -> Response:
        mail = await self._mail(request)
        headers = {"content-security-policy": MAIL.render(), "x-frame-options": "SAMEORIGIN"}
        return Response(mail.html, headers=headers, media_type="text/html")

    async def clear(self, request: Request) -> Response:
        """There is no session here to bind a value to: the browser says which page the form was on."""
        headers = request.headers
        origin_test("POST", headers.get("sec-fetch-site"), headers.get("origin"), self._origin)
        await asyncio.to_thread(self._box.clear)
        return see_other(PATH)

    async def _mail(self, request: Request) -> Caught:
        mail = await asyncio.to_thread(self._box.get, str(request.path_params["mail_id"]))
        if mail is None:
            raise Refused("not_found", "That mail is not here. The inbox keeps the newest only.", status=404)
        return mail

    def _render(
        self, request: Request, mails: list[Caught], mail: Caught | None, view: str, *, layout: str
    ) -> Response:
        return self._pages.render(
            request,
            "inbox.html",
            headers={"content-security-policy": FRAMING.render()},
            mails=mails,
            mail=mail,
            view=view,
            layout=layout,
            path=PATH,
        )
