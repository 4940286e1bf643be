"""Flows §5, RFC 6749 §4.1.2, RFC 9207: `/bff/callback` turns a code into cookies, in the browser that asked for it."""

from __future__ import annotations

import re

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bartizan.frontend import browser
from bartizan.frontend.auth_client import Declined, Tokens
from bartizan.frontend.bff import Bff, delete_login, on_behalf_of
from bartizan.frontend.login import AGAIN, STATE
from bartizan.frontend.notices import Notice, back_to, notice
from bartizan.frontend.seals import Begun, Held, Person
from bartizan.model.clients import Mode
from bartizan.protocol import jose
from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import csrf
from bartizan.web import body
from bartizan.web.pages import with_cookies

log = structlog.get_logger()

_ERROR = re.compile(r"[a-z_]{1,60}", re.ASCII)


class Callback:
    def __init__(self, bff: Bff) -> None:
        self._bff = bff

    async def __call__(self, request: Request) -> Response:
        browser.demand_document(request)
        fields = body.query(request)
        state = fields.get("state")
        name = self._bff.names.login_prefix + state
        begun = self._begun(request, state, name)
        if begun is None:
            return self._not_ours(request, fields, state)
        if fields.get("iss") != self._bff.settings.id_origin:  # RFC 9207 §2.4: letter by letter, before anything else
            log.warning("callback with another issuer", iss=fields.get("iss")[:200])
            return self._over(request, name, Notice.UNCHECKED, begun)
        if "error" in fields.one:
            return self._declined(request, name, fields.get("error"), begun)
        if not fields.get("code"):
            raise Refused("invalid_request", "The answer of the sign-in is not complete.", "no code")
        try:
            tokens = await self._bff.auth.redeem(fields.get("code"), begun.verifier, on_behalf_of(request))
        except Declined as no:
            log.info("code declined", error=no.code)
            return self._over(request, name, Notice.TOO_LATE, begun)
        # failpoint: callback.redeemed
        try:
            held = await self._check(tokens, begun)
        except jose.InvalidToken as bad:
            log.error("tokens of our own issuer do not hold", reason=bad.reason)
            return self._over(request, name, Notice.UNCHECKED, begun)
        self._bff.ports.meter.count("bff_sign_ins", mode=held.mode.value)
        # 200, not 3xx: this request came from another site, and so would the next, without Strict cookies (F§4).
        return with_cookies(back_to(begun.return_to), [*self._bff.granted(held, tokens), delete_login(name)])

    def _begun(self, request: Request, state: str, name: str) -> Begun | None:
        """This browser's own sign-in, still young; its cookie opens under this state alone."""
        if not STATE.fullmatch(state):
            return None
        begun = self._bff.seals.begun(self._bff.brought(request).all.get(name), name)
        young = begun is not None and self._bff.now() - begun.at <= self._bff.settings.login_seconds
        return begun if young else None

    def _not_ours(self, request: Request, fields: body.Fields, state: str) -> Response:
        """The code is thrown away, unused: it may be a stranger's (login CSRF). One fresh start, never a second."""
        if "error" in fields.one:
            return notice(self._bff, request, Notice.NOT_FINISHED)
        if state.startswith(AGAIN):
            return notice(self._bff, request, Notice.NO_COOKIES)
        return RedirectResponse("/bff/login?again=1&return_to=/", 303, {"cache-control": "no-store"})

    def _declined(self, request: Request, name: str, error: str, begun: Begun) -> Response:
        code = error if _ERROR.fullmatch(error) else "invalid_response"
        log.info("sign-in ended without a code", error=code)
        kind = Notice.NOT_FINISHED if code == "access_denied" else Notice.NOT_DONE
        return self._over(request, name, kind, begun, code)

    def _over(self, request: Request, name: str, kind: Notice, begun: Begun, code: str = "") -> Response:
        page = notice(self._bff, request, kind, again=begun.return_to, code=code)
        return with_cookies(page, [delete_login(name)])

    async def _check(self, tokens: Tokens, begun: Begun) -> Held:
        """The tokens are for this sign-in (nonce) and of the kind that our mode needs (F§2)."""
        claims = await self._bff.auth.identify(tokens.id_token, begun.nonce)
        mode = self._bff.settings.mode
        access = await self._bff.auth.access_claims(tokens.access_token)
        value = access.get("csrf")
        if mode is Mode.COOKIE and not csrf.matches(value if isinstance(value, str) else None, begun.csrf):
            raise jose.InvalidToken("the access token is no cookie token of this sign-in")
        if mode is Mode.MEMORY and value is not None:
            raise jose.InvalidToken("the access token is a cookie token; the mode is memory")
        if access.get("sub") != claims["sub"]:
            raise jose.InvalidToken("two subjects in one answer")
        person = Person(*(str(claims.get(name) or "") for name in ("sub", "name", "email")))
        return Held(tokens.refresh_token, begun.csrf, mode, person, tokens.id_token)
