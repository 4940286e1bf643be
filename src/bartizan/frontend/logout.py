"""Flows §9, §11: `/bff/logout`. GET asks, and only a POST of our own page or script acts.

The order: the auth server ends the session (every access token is refused within two seconds), then the cookies go,
then the browser is sent to `id`, where its sign-on cookie goes. If the auth server is away, nothing is pretended: 503.
"""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from bartizan.frontend import browser
from bartizan.frontend.auth_client import Declined
from bartizan.frontend.bff import Bff, on_behalf_of
from bartizan.frontend.notices import back_to
from bartizan.frontend.seals import Held
from bartizan.frontend.session import demand_csrf
from bartizan.protocol.web import csrf
from bartizan.web import body
from bartizan.web.pages import with_cookies

_HEADERS = {"cache-control": "no-store", "clear-site-data": '"cache", "storage"'}  # not cookies: F§1


class Ask:
    def __init__(self, bff: Bff) -> None:
        self._bff = bff

    async def __call__(self, request: Request) -> Response:
        held = self._bff.brought(request).held
        if held is None and not browser.from_same_origin(request) and request.scope["query_string"] != b"hop=1":
            return back_to("/bff/logout?hop=1")  # a link on another site brings no Strict cookie; this brings it (F§4)
        if held is None:
            return RedirectResponse("/", 303, {"cache-control": "no-store"})
        return self._bff.pages.render(
            request,
            "logout.html",
            form_action=[self._bff.settings.id_origin],  # where the answer to the form leads; Chromium asks for it
            headers={"cache-control": "no-store"},
            person=held.person,
            csrf_value=held.csrf,
        )


class SignOut:
    def __init__(self, bff: Bff) -> None:
        self._bff = bff

    async def __call__(self, request: Request) -> Response:
        self._bff.same_origin(request)
        brought = self._bff.brought(request)
        if brought.held is not None:
            demand_csrf(await _presented(request), brought.held)
            with suppress(Declined):  # it had ended already
                await self._bff.auth.revoke(brought.held.refresh_token, on_behalf_of(request))
            # failpoint: bff.revoked
        self._bff.ports.meter.count("bff_sign_outs")
        onward = self._onward(brought.held)
        answer: Response
        if browser.is_navigation(request):
            answer = RedirectResponse(onward, 303, _HEADERS)
        else:
            answer = JSONResponse({"signed_out": True, "continue": onward}, headers=_HEADERS)
        return with_cookies(answer, self._bff.gone(brought))

    def _onward(self, held: Held | None) -> str:
        """OIDC RP-Initiated Logout §2: `id` ends its own session and sends the browser back to the app."""
        settings = self._bff.settings
        asked = {"client_id": settings.client_id, "post_logout_redirect_uri": settings.signed_out_uri}
        if held is not None and held.id_token:
            asked["id_token_hint"] = held.id_token
        return f"{settings.id_origin}/logout?{urlencode(asked)}"


async def _presented(request: Request) -> str | None:
    """The header, or the field of our own confirm page."""
    header = request.headers.get(csrf.HEADER)
    if header is not None or not request.headers.get("content-type", "").startswith(body.FORM):
        return header
    return (await body.form(request)).one.get(csrf.FIELD)
