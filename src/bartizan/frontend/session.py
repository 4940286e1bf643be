"""`/bff/session` says who is signed in, `/bff/refresh` renews (flows §3, §4). In cookie mode neither shows a token."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bartizan.frontend.bff import Bff
from bartizan.frontend.rotation import rotate, signed_out, stands
from bartizan.frontend.seals import Held
from bartizan.model.clients import Mode
from bartizan.protocol.refusal import Refused, Unavailable
from bartizan.protocol.web import csrf
from bartizan.web import headers
from bartizan.web.ready import Ready, pairs

_NO_STORE = {"cache-control": "no-store"}
_JSON = pairs(_NO_STORE, "application/json")
_CSRF = csrf.HEADER.lower().encode("ascii")


class Session:
    def __init__(self, bff: Bff) -> None:
        self._bff = bff

    async def __call__(self, request: Request) -> Response:
        brought = self._bff.brought(request)
        held = brought.held
        # Asked of the auth server, so that a sign-out elsewhere is seen here (F§11). Cookies are left alone: this
        # request may have passed a rotation that is just bringing newer ones.
        if held is None or not await stands(self._bff, request, held):
            return JSONResponse({"signed_in": False, "mode": self._bff.settings.mode.value}, headers=_NO_STORE)
        person = held.person
        answer = {
            "signed_in": True,
            "mode": held.mode.value,
            "user": {"sub": person.sub, "name": person.name, "email": person.email},
            "csrf": held.csrf,
            "expires_in": await self._seconds_left(request),
        }
        return JSONResponse(answer, headers=_NO_STORE)

    async def _seconds_left(self, request: Request) -> int:
        try:
            return await self._bff.seconds_left(self._bff.brought(request))
        except Unavailable:  # no keys to check with: let the client renew, which tells the truth
            return 0


class Refresh:
    def __init__(self, bff: Bff) -> None:
        self._bff = bff

    async def __call__(self, request: Request) -> Response | Ready:
        self._bff.same_origin(request)
        brought = self._bff.brought(request)
        held = brought.held
        if held is None:
            return signed_out(self._bff, brought)
        demand_csrf(headers.one(request.scope, _CSRF), held)
        rotated = await rotate(self._bff, request, held)
        if rotated is None:
            return signed_out(self._bff, brought)
        answer: dict[str, object] = {"expires_in": rotated.tokens.expires_in}
        if held.mode is Mode.MEMORY:  # sealed at sign-in: nothing in this request can ask for it (F§2)
            answer["access_token"] = rotated.tokens.access_token
        cookies = [(b"set-cookie", cookie.encode("latin-1")) for cookie in rotated.cookies]
        return Ready(200, (*_JSON, *cookies), msgspec.json.encode(answer))


def demand_csrf(presented: str | None, held: Held) -> None:
    """F§3: the BFF compares with the value inside the sealed cookie; the readable one is never looked at."""
    if not csrf.matches(presented, held.csrf):
        note = "X-CSRF-Token missing" if presented is None else "X-CSRF-Token is another"
        raise Refused("csrf", "The page is out of date: reload it and try again.", note, status=403)
