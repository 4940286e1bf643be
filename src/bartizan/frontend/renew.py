"""Flows §4: `/bff/renew` renews in the middle of a request and sends the browser back to where it was going."""

from __future__ import annotations

import re
from contextlib import aclosing
from hashlib import sha256

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bartizan.frontend import browser, returning
from bartizan.frontend.bff import Bff, Brought
from bartizan.frontend.notices import Notice, back_to, notice
from bartizan.frontend.rotation import rotate, signed_out, stands
from bartizan.model.clients import Mode
from bartizan.protocol.refusal import Refused
from bartizan.protocol.secrets import to_base64url
from bartizan.protocol.web import cookies
from bartizan.web.body import TooLarge
from bartizan.web.failure import as_json, failure_of
from bartizan.web.pages import with_cookies

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
BODY_LIMIT = 64 * 1024 * 1024  # read away here; what is longer no browser gets asked to send twice
_HOP_SECONDS = 10
_ROUNDS = 8  # one address, sent back so often after a renewal, and here again; browsers give up after ten
_NOT_BROUGHT = Refused("no_session", "The session was renewed, but the browser did not bring it back.", status=401)
_HOP = re.compile(r"([rb])([0-9])\.([A-Za-z0-9_-]{8})", re.ASCII)


class Hop(Struct, frozen=True):
    """The `…-hop` cookie: what happened in the last ten seconds.

    Rounds are counted for one address at a time: twenty requests that were refused together, each sent back with
    what the first one brought, are no loop.
    """

    renewed: bool
    rounds: int = 0
    where: str = ""

    def been(self, where: str) -> int:
        return self.rounds if self.where == where else 0

    def next(self, where: str, *, renewed: bool) -> Hop:
        return Hop(self.renewed or renewed, min(self.been(where) + 1, 9), where)

    def __str__(self) -> str:
        return f"{'r' if self.renewed else 'b'}{self.rounds}.{self.where}"


def read_hop(text: str | None) -> Hop:
    """Nobody can plant it (`__Host-`), so one that we cannot read is still one: of another version of ours."""
    found = _HOP.fullmatch(text or "")
    return Hop(found[1] == "r", int(found[2]), found[3]) if found else Hop(renewed=bool(text))


def where_to(method: str, return_to: str) -> str:
    return to_base64url(sha256(f"{method} {return_to}".encode()).digest()[:6])


class Renew:
    def __init__(self, bff: Bff) -> None:
        self._bff = bff

    async def __call__(self, request: Request) -> Response:
        await _discard(request)
        asked = returning.read(request.scope["query_string"], flags=("hop",))
        navigation = browser.is_navigation(request)
        if not browser.from_same_origin(request):
            if request.method not in ("GET", "HEAD"):
                self._bff.same_origin(request)  # browsers without Sec-Fetch-Site: the Origin decides
            elif "hop" not in asked.flags:
                # (i) From another site no Strict cookie came; the request after this one brings them (tried).
                return back_to(f"/bff/renew?hop=1&return_to={asked.return_to}")
        brought = self._bff.brought(request)
        hop = read_hop(brought.all.get(self._bff.names.hop))
        if self._in_memory(brought):
            return notice(self._bff, request, Notice.MEMORY_MODE) if navigation else signed_out(self._bff, brought)
        return await self._go_on(request, asked.return_to, brought, hop)

    def _in_memory(self, brought: Brought) -> bool:
        """A page load carries no token in memory mode: renewing would change nothing for it (F§2)."""
        mode = brought.held.mode if brought.held else self._bff.settings.mode
        return mode is Mode.MEMORY

    async def _go_on(self, request: Request, return_to: str, brought: Brought, hop: Hop) -> Response:
        """(ii), or (iii) when a renewal has just happened and changed nothing."""
        valid = await self._bff.seconds_left(brought) > 0
        where = where_to(request.method, return_to)
        rounds = hop.been(where)
        # Renewed a moment ago, and with its key that token went too: the next is of another key, so this is no loop.
        gone = rounds < _ROUNDS and (hop.renewed or rounds > 0) and await self._bff.key_gone(brought)
        if not gone and (valid or hop.renewed) and await stands(self._bff, request, brought.held):
            if valid and rounds < (_ROUNDS if hop.renewed else 1):
                return self._back(request, return_to, hop.next(where, renewed=False), _HOP_SECONDS)
            if hop.renewed:
                return self._loop(request, return_to)
        # Not valid, ended, or sent back with a valid one and here again: what comes of it only the auth server knows.
        rotated = await rotate(self._bff, request, brought.held) if brought.held else None
        if rotated is None:
            return self._signed_out(request, return_to, brought)
        if rounds >= _ROUNDS:  # with its cookies: were they lost, the next renewal would be a late retry
            return with_cookies(self._loop(request, return_to), rotated.cookies)
        # Where tokens live for seconds, the next renewal comes before ten have passed, and is no loop.
        seconds = max(1, min(_HOP_SECONDS, rotated.tokens.expires_in // 2))
        return with_cookies(self._back(request, return_to, hop.next(where, renewed=True), seconds), rotated.cookies)

    def _back(self, request: Request, return_to: str, hop: Hop, seconds: int) -> Response:
        """303 for what a person opens; 307 for all else, with which method, headers and body go along again."""
        status = 303 if request.method == "GET" and browser.is_navigation(request) else 307
        answer = RedirectResponse("/", status, {"cache-control": "no-store"})
        answer.headers["location"] = return_to  # as it came: a checked path, that nobody may respell
        return with_cookies(answer, [cookies.set_cookie(self._bff.names.hop, str(hop), max_age=seconds)])

    def _signed_out(self, request: Request, return_to: str, brought: Brought) -> Response:
        if not browser.is_navigation(request):
            return signed_out(self._bff, brought)
        # From another site none of the Strict cookies came, so nothing is known of them: a link must sign nobody out.
        gone = [] if browser.from_another_site(request) else self._bff.gone(brought)
        if request.method != "GET":
            return with_cookies(notice(self._bff, request, Notice.SIGNED_OUT), gone)
        answer = RedirectResponse("/", 303, {"cache-control": "no-store"})
        answer.headers["location"] = f"/bff/login?return_to={return_to}"
        return with_cookies(answer, gone)

    def _loop(self, request: Request, return_to: str) -> Response:
        if browser.is_navigation(request):
            return notice(self._bff, request, Notice.LOOP, again=return_to if request.method == "GET" else "/")
        return as_json(failure_of(_NOT_BROUGHT))


async def _discard(request: Request) -> None:
    """The body stays with the browser, which sends it again after the 307; here it is read away, a chunk at a time."""
    seen = 0
    async with aclosing(request.stream()) as pieces:
        async for piece in pieces:
            seen += len(piece)
            if seen > BODY_LIMIT:
                raise TooLarge
