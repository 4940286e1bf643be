"""Server-rendered pages: Jinja2 under a CSP that allows nothing inline (flows §5, look)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bartizan.protocol.web.csp import Policy
from bartizan.protocol.web.origins import parse
from bartizan.web.failure import Failure
from bartizan.web.static import Static
from bartizan.web.words import FILTERS

HERE = Path(__file__).parent
LOOK = HERE / "look"

POLICY = Policy(
    (
        ("default-src", ("'none'",)),
        ("script-src", ("'self'",)),
        ("style-src", ("'self'",)),
        ("img-src", ("'self'", "data:")),
        ("font-src", ("'self'",)),
        ("form-action", ("'self'",)),
        ("base-uri", ("'none'",)),
        ("frame-ancestors", ("'none'",)),
    )
)

_HEADINGS = {
    403: "We did not do that",
    404: "There is no such page",
    405: "That did not work",
    413: "That is too much",
    429: "Too many tries",
    500: "Something broke on our side",
    503: "We are away for a moment",
}

_BY_CODE = {
    "forbidden": "Not for this account",
    "form_expired": "That form was too old",
    "link_dead": "This link does not work",
}


class Site(Struct, frozen=True):
    """What every page says about the house."""

    name: str
    origin: str  # of these pages
    home: str  # where the button of an error page leads: the app
    home_label: str = "Go to the app"
    kind: str = " ID"  # after the name, beside the mark; the app's own pages go by its name alone
    links: tuple[tuple[str, str], ...] = ()  # the foot: (label, address)

    @property
    def host(self) -> str:
        return self.origin.split("://", 1)[1]


class Stopped(Struct, frozen=True):
    """What the error page says of a refusal at one address: a heading, and a second sentence."""

    heading: str
    remark: str


class Pages:
    """`render(request, template, …)`. Later folders extend our templates: base, id, sheet; macros in parts, icons."""

    def __init__(
        self,
        site: Site,
        static: Static,
        *folders: Path,
        modules: tuple[str, ...] = (),
        stopped: Mapping[str, Stopped] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        parse(site.origin)
        self.site = site
        self._clock = clock
        self._stopped = stopped or {}
        self._environment = _environment(folders)
        self._everywhere = {"site": site, "static": static.url, "modules": modules}

    def render(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        form_action: Iterable[str] = (),
        cookies: Iterable[str | None] = (),
        headers: dict[str, str] | None = None,
        **values: object,
    ) -> Response:
        """`form_action`: further places a form's redirect may lead to; Chromium applies it to those too (tried)."""
        text = self._environment.get_template(template).render(self._everywhere, now=self._clock(), **values)
        policy = POLICY.adding({"form-action": list(form_action)})
        response = HTMLResponse(text, status, {"content-security-policy": policy.render(), **(headers or {})})
        return with_cookies(response, cookies)

    def failure(self, request: Request, failure: Failure) -> Response:
        """The error page; handed to `mount` as `page`."""
        heading = _BY_CODE.get(failure.code) or _HEADINGS.get(failure.status, "We stopped here")
        usual = Stopped(heading, "")
        stopped = self._stopped.get(request.scope["path"], usual) if failure.status in (400, 403) else usual
        return self.render(
            request,
            "failure.html",
            status=failure.status,
            headers=failure.headers,
            failure=failure,
            stopped=stopped,
            onward=self.site.home,
            onward_label=self.site.home_label,
        )


@cache
def _environment(folders: tuple[Path, ...]) -> Environment:
    """Compiled templates, once a process: they know nothing of a site."""
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in (HERE / "templates", *folders)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(FILTERS)
    return environment


def see_other(path: str, cookies: Iterable[str | None] = ()) -> Response:
    """POST → 303 → GET: a reload of what follows repeats nothing."""
    return with_cookies(RedirectResponse(path, 303), cookies)


def with_cookies(response: Response, cookies: Iterable[str | None]) -> Response:
    for cookie in cookies:
        if cookie is not None:
            response.raw_headers.append((b"set-cookie", cookie.encode("latin-1")))
    return response
