"""What every page of auth is handed: ports, settings, and the means to render and to guard a form."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from uuid import UUID

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth import proceed, sso
from bartizan.auth.ports import AuthPorts
from bartizan.auth.settings import AuthSettings
from bartizan.model.sessions import Session
from bartizan.model.users import User
from bartizan.protocol.secrets import Ring, uuid7
from bartizan.web.body import Fields, form
from bartizan.web.formcsrf import FIELD, Forms
from bartizan.web.pages import LOOK, Pages, Site, Stopped
from bartizan.web.static import Static

HERE = Path(__file__).parent

STOPPED = {
    "/authorize": Stopped(
        "We stopped this sign-in", "That is usually a mistake in the app that sent you here. Nothing was shared."
    ),
    "/logout": Stopped(
        "We did not sign you out", "That is usually a mistake in the app that sent you here. Nothing was changed."
    ),
}


class Desk(Struct, frozen=True, kw_only=True):
    ports: AuthPorts
    settings: AuthSettings
    pages: Pages
    static: Static
    forms: Forms
    links: Ring  # purpose "link"
    sealing: Ring  # purpose "pages"

    def new_id(self) -> UUID:
        return uuid7(int(self.ports.clock().timestamp() * 1000), self.ports.chance(10))

    def cookie(self, name: str) -> str:
        """The name of a cookie of ours at id, with the deployment's prefix."""
        return self.settings.cookies.sso.removesuffix("sso") + name

    async def current(self, request: Request) -> proceed.Current | None:
        return await proceed.current(request, self.ports, self.settings)

    async def signed_in(self, request: Request) -> tuple[Session, User] | None:
        return await sso.current_session(request, self.ports, self.settings)

    async def fields(self, request: Request, subject: str = "", *, repeated: tuple[str, ...] = ()) -> Fields:
        """The fields of a form of ours, or Refused: every POST handler's first line."""
        fields = await form(request, repeated=repeated)
        self.forms.check(request, fields.get(FIELD), subject)
        return fields

    def page(
        self,
        request: Request,
        template: str,
        *,
        subject: str = "",
        status: int = 200,
        form_action: tuple[str, ...] = (),
        cookies: tuple[str | None, ...] = (),
        headers: dict[str, str] | None = None,
        **values: object,
    ) -> Response:
        """Renders with the form field for `subject`, and with the cookie that it may need."""
        csrf_value = self.forms.field(request, subject)
        return self.pages.render(
            request,
            template,
            status=status,
            form_action=form_action,
            cookies=(*cookies, self.forms.set_cookie(request)),
            headers=headers,
            csrf_value=csrf_value,
            **values,
        )


@cache
def _static() -> Static:
    """Read, hashed and packed once a process."""
    return Static(LOOK, HERE / "static")


def build(ports: AuthPorts, settings: AuthSettings) -> Desk:
    """Once, at start: templates, static files and derived keys."""
    static = _static()
    sealing = ports.ring.purpose("pages")
    site = Site(settings.site_name, settings.issuer, settings.app_origin)
    return Desk(
        ports=ports,
        settings=settings,
        pages=Pages(site, static, HERE, modules=("page.js",), stopped=STOPPED, clock=ports.clock),
        static=static,
        forms=Forms(sealing, settings.cookies.sso.removesuffix("sso") + "form", settings.issuer, ports.chance),
        links=ports.ring.purpose("link"),
        sealing=sealing,
    )
