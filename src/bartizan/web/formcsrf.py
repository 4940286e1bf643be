"""Forms of our own pages: the hidden field `csrf`, and the origin test before it (flows §3).

One `__Host-` cookie per browser, which no sibling subdomain can plant, holds a random value; the field is
HMAC(key, value, subject). `subject` is the session's or interaction's id where there is one, so that a page showing
Alice never posts as Bob; it is the id and not the cookie, because the cookie changes at each fresh proof.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.requests import Request

from bartizan.protocol.refusal import Refused
from bartizan.protocol.secrets import Ring, mac, to_base64url
from bartizan.protocol.web import cookies, csrf
from bartizan.web import caller
from bartizan.web.headers import one

FIELD = "csrf"
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_SCOPE = "bartizan.form_cookie"


class Forms:
    def __init__(self, ring: Ring, cookie: str, origin: str, chance: Callable[[int], bytes]) -> None:
        self._ring = ring
        self._cookie = cookie
        self._origin = origin
        self._chance = chance

    def field(self, request: Request, subject: str = "") -> str:
        """The value of the hidden field for this browser; `set_cookie` then says whether a cookie must go out."""
        return self._mac(self._ring.newest[1], self._browser(request), subject)

    def set_cookie(self, request: Request) -> str | None:
        """The cookie that `field` made for this answer, if it had to make one."""
        made = request.scope.get(_SCOPE)
        return cookies.set_cookie(self._cookie, made, same_site="Lax") if isinstance(made, str) else None

    def check(self, request: Request, value: str, subject: str = "") -> None:
        """Raises Refused (403) unless this browser got the form from us, for this subject."""
        self.check_origin(request)
        held = self._held(request)
        if held is None or not any(csrf.matches(value, self._mac(key, held, subject)) for _, key in self._ring.all):
            raise Refused(
                "form_expired",
                "This form was out of date. Open the page again and fill it in once more. Nothing was changed.",
                "form csrf differs" if held else "no form cookie",
                status=403,
            )

    def check_origin(self, request: Request) -> None:
        """Raises Refused (403) when an unsafe request does not come from a page of ours."""
        scope = request.scope
        csrf.origin_test(scope["method"], one(scope, b"sec-fetch-site"), one(scope, b"origin"), self._origin)

    def _browser(self, request: Request) -> str:
        held = self._held(request)
        if held is not None:
            return held
        made = request.scope.get(_SCOPE)
        if not isinstance(made, str):
            made = request.scope[_SCOPE] = to_base64url(self._chance(32))
        return made

    def _held(self, request: Request) -> str | None:
        value = caller.cookies(request).get(self._cookie, "")
        return value if _VALUE.match(value) else None

    @staticmethod
    def _mac(key: bytes, browser: str, subject: str) -> str:
        return to_base64url(mac(key, b"form", browser.encode(), subject.encode()))
