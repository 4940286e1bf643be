"""Flows §5, RFC 9126, RFC 7636: `/bff/login` sends the browser to `id` with a request that was pushed ahead of it."""

from __future__ import annotations

import re
from hashlib import sha256
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bartizan.frontend import browser, returning
from bartizan.frontend.bff import Bff, delete_login, on_behalf_of
from bartizan.frontend.seals import Begun
from bartizan.model.clients import Mode
from bartizan.protocol.secrets import to_base64url
from bartizan.protocol.web import cookies
from bartizan.web.pages import with_cookies

MOST_AT_ONCE = 8  # sign-ins under way in one browser
FIRST, AGAIN = "1", "2"  # how a state begins: the second try does not start a third one
STATE = re.compile(r"[12][A-Za-z0-9_-]{22}", re.ASCII)
_LONGEST_RETURN = 1024  # what a login cookie has room for


class Login:
    def __init__(self, bff: Bff) -> None:
        self._bff = bff

    async def __call__(self, request: Request) -> Response:
        browser.demand_document(request)
        asked = returning.read(request.scope["query_string"], flags=("again",))
        return await self._begin(request, asked.return_to, AGAIN if "again" in asked.flags else FIRST)

    async def _begin(self, request: Request, return_to: str, kind: str) -> Response:
        """Everything fresh for each sign-in: state, verifier, nonce, CSRF value (RFC 9700 §2.1, F§3)."""
        bff, settings = self._bff, self._bff.settings
        verifier, nonce, csrf, state = (to_base64url(bff.ports.chance(size)) for size in (32, 16, 16, 16))
        state = kind + state
        parameters = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": settings.redirect_uri,
            "scope": " ".join(settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        if settings.mode is Mode.COOKIE:
            parameters["bz_csrf"] = csrf  # asks for cookie tokens, that carry it as a claim (F§2)
        request_uri = await bff.auth.push(parameters, on_behalf_of(request))
        # failpoint: bff.pushed
        begun = Begun(verifier, nonce, csrf, return_to if len(return_to) <= _LONGEST_RETURN else "/", bff.now())
        name = bff.names.login_prefix + state
        sealed = bff.seals.close(begun, name, bff.ports.chance(12))
        made = cookies.set_cookie(name, sealed, max_age=settings.login_seconds, same_site="Lax")
        onward = urlencode({"client_id": settings.client_id, "request_uri": request_uri})
        answer = RedirectResponse(f"{settings.id_origin}/authorize?{onward}", 303, {"cache-control": "no-store"})
        return with_cookies(answer, [*self._too_many(bff.brought(request).all), made])

    def _too_many(self, found: dict[str, str]) -> list[str]:
        """Deletes what cannot be opened, and the oldest, so that this one is the eighth at most."""
        ages: list[tuple[int, str]] = []
        for name, value in found.items():
            if name.startswith(self._bff.names.login_prefix):
                begun = self._bff.seals.begun(value, name)
                ages.append((begun.at if begun else 0, name))
        ages.sort(reverse=True)
        return [delete_login(name) for at, name in ages[MOST_AT_ONCE - 1 :]]


def challenge(verifier: str) -> str:
    """RFC 7636 §4.2, S256."""
    return to_base64url(sha256(verifier.encode("ascii")).digest())
