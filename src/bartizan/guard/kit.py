"""What the Guard of every framework has: its construction, the decorators, and what handlers and templates read."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from html import escape
from typing import Generic, TypeVar

from msgspec import Struct

from bartizan.guard.answers import Answers, Exchange
from bartizan.guard.declare import PUBLIC, UNDECLARED, Declaring, policy_of
from bartizan.guard.gate import Gate, Source
from bartizan.guard.keys import Watch
from bartizan.guard.limiter import InProcess, Limiter
from bartizan.guard.policy import Denied, Resource, RoutePolicy, Token, Who
from bartizan.protocol.refusal import Refused, Unavailable
from bartizan.protocol.web import csrf
from bartizan.protocol.web.cors import NamedOrigins
from bartizan.protocol.web.csp import Policy

log = logging.getLogger("bartizan.guard")
Application = TypeVar("Application")


class Html(str):
    """Markup that is escaped already: the protocol of Jinja and MarkupSafe, without needing either."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


class RouteRow(Struct, frozen=True):
    """One route of the app and what it declares, for lists and checks."""

    path: str
    methods: tuple[str, ...]
    name: str
    policy: RoutePolicy


class Kit(Declaring, Generic[Application]):
    """`app_origin`: where the browser's pages come from; absent, the audience. `public`: names of endpoints that you
    cannot decorate, as Flask's own "static". `csp`: sources added to the strict policy, or a whole one.
    `cors_origins`: who may read every route by a bearer token; for one route there is `@guard.cors(…)`.
    `limiter` counts `@guard.limit`, in this process if none is given. `source` replaces keys and feed (tests).
    """

    def __init__(
        self,
        app: Application | None = None,
        *,
        issuer: str,
        audience: str,
        app_origin: str | None = None,
        csp: Policy | Mapping[str, Iterable[str]] | None = None,
        cors_origins: Iterable[str] = (),
        public: Iterable[str] = (),
        limiter: Limiter | None = None,
        source: Source | None = None,
        realm: str = "api",
    ) -> None:
        if app_origin is None:  # our own tokens are for the app's origin, so one word says both
            app_origin = audience
        resource = Resource(issuer=issuer, audience=audience, app_origin=app_origin, realm=realm)
        named = tuple(cors_origins)
        self.gate = Gate(resource, source if source is not None else Watch(issuer))
        self._answers = Answers(
            app_origin=app_origin, csp=csp, cors_policy=NamedOrigins(origins=named) if named else None
        )
        self._public = frozenset(public)
        self._limiter: Limiter = limiter if limiter is not None else InProcess()
        self._named = False
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Application) -> None:
        raise NotImplementedError

    def routes(self) -> list[RouteRow]:
        """Each route of the app and what it declares."""
        raise NotImplementedError

    def undeclared(self) -> list[str]:
        """Routes that are refused because they say nothing: for a test, or a look before deployment."""
        return sorted({row.name for row in self.routes() if row.policy.who is Who.UNDECLARED})

    @property
    def user(self) -> Token:
        """Who calls. On a public route there is nobody, and asking is a defect."""
        token = self.maybe_user
        if token is None:
            raise RuntimeError("nobody is signed in here: the route is public, or optional and called without a token")
        return token

    @property
    def maybe_user(self) -> Token | None:
        grant = self._exchange().grant
        return None if grant is None else grant.token

    def csp_nonce(self) -> str:
        """For inline script and style elements of this answer."""
        return self._exchange().csp_nonce()

    def csrf_field(self) -> Html:
        """The hidden field of a plain form. Its value is empty for a token that needs none."""
        token = self.maybe_user
        value = "" if token is None or token.csrf is None else token.csrf
        return Html(f'<input type="hidden" name="{csrf.FIELD}" value="{escape(value)}">')

    def _exchange(self) -> Exchange:
        raise NotImplementedError

    def _note(self, no: Refused | Unavailable, name: str) -> None:
        """To the log: the cause, which no answer tells; at the first undeclared route, all of them by name."""
        if isinstance(no, Denied) and no.code == "undeclared" and not self._named:
            self._named = True
            log.error("refused, as they declare no policy: %s", ", ".join(self.undeclared()))
        log.info("refused %r: %s", name, no.note if isinstance(no, Refused) else no)

    def _declared(self, view: object, name: str | None) -> RoutePolicy:
        found = policy_of(view)
        return PUBLIC if found is UNDECLARED and name in self._public else found
