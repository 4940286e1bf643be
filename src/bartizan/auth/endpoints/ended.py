"""F§7: the signed feed of what was ended, by which gateways and guards refuse within two seconds.

A reader waits here until something new has ended, but not for long. All who wait in a process share one look at the
database, twice a second; when nobody waits, nobody looks. Pages overlap by 60 s and the cursor is the database's
second, so what is new to a reader is: a gid that this process first saw in the second of the reader's cursor or later.
The feed also names the published keys, so that a key withdrawn ends all that it signed by the same path; a change of
these is new in the same way, also to a reader that was not waiting when it came. They are read for each answer, with
the list (who asks at once shares one), not taken from what this process holds: no reader may be told of a key again
that another process told it is gone.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from bartizan.auth.server import AuthServer
from bartizan.model.ended import EndedPage
from bartizan.protocol.oauth.errors import no
from bartizan.protocol.oauth.parameters import from_query
from bartizan.protocol.refusal import Unavailable

TYP = "ended+jwt"
LONGEST_WAIT = 1.5  # seconds: below the two of F§7, and below what a stopping server waits for
LOOK_EVERY = 0.5  # seconds: with what readers take, a second and a half at worst; each look is a statement
KEPT_SECONDS = 180  # longer than a gid can come again in overlapping pages
_LONGEST_CURSOR = 12  # digits
CURRENT_SECONDS = 10  # F§7: an older answer counts as none


class Ended:
    def __init__(self, server: AuthServer) -> None:
        self._server = server
        self._watch = Watch(server)
        self._answers = Answers(server)

    async def __call__(self, request: Request) -> Response:
        after = _cursor(from_query(request.scope["query_string"]).get("after"))
        if after > self._server.ports.clock().timestamp() + CURRENT_SECONDS:
            after = 0  # the database went back to before this cursor: tell all there is
        if after:
            await self._watch.until_new(after)
        body = await self._answers.after(after)
        return Response(body, 200, {"cache-control": "no-store"}, media_type="application/jwt")


class Answers:
    """Signed pages. One of a full list costs some 20 ms: who asks for the same one while it is made shares the next.

    None is told what was read before he asked: a reader between two nodes must not hear of a key again that has gone.
    """

    def __init__(self, server: AuthServer) -> None:
        self._server = server
        self._made: dict[int, asyncio.Task[bytes]] = {}  # by cursor: begun
        self._next: dict[int, asyncio.Task[bytes]] = {}  # begins when that one has ended

    async def after(self, cursor: int) -> bytes:
        task = self._next.get(cursor)
        if task is None:
            task = self._next[cursor] = asyncio.create_task(self._in_turn(cursor))
        return await asyncio.shield(task)  # who hangs up takes it from nobody

    async def _in_turn(self, cursor: int) -> bytes:
        before = self._made.get(cursor)
        if before is not None:
            await asyncio.wait({before})
        task = self._made[cursor] = self._next.pop(cursor)
        try:
            return await self._make(cursor)
        finally:
            if self._made[cursor] is task:
                del self._made[cursor]

    async def _make(self, cursor: int) -> bytes:
        async with self._server.ports.store.reading() as records:
            page = await records.ended.after(cursor)
        signer, kids = await self._server.keys.exact_if_not(page.kids)
        claims = {
            "iss": self._server.settings.issuer,
            "iat": page.now,
            "exp": page.now + CURRENT_SECONDS,
            "cursor": page.cursor,
            "gids": page.gids,
            "kids": kids,
        }
        return signer.sign(claims, TYP).encode("ascii")


class Watch:
    """One look for all who wait."""

    def __init__(self, server: AuthServer) -> None:
        self._server = server
        self._first_seen: dict[str, int] = {}  # gid → the database's second in which we saw it first
        self._kids: tuple[str, ...] = ()
        self._kids_since = 0  # the database's second in which we first saw these keys published
        self._newest = 0  # of all these: found once a look, not by each of a thousand strangers who may wait here
        self._cursor = 0
        self._looked_at = -LOOK_EVERY
        self._looking = asyncio.Lock()
        self._failures = 0

    async def until_new(self, after: int) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + LONGEST_WAIT
        while loop.time() < until:
            await self._look()
            newest = self._newest
            if newest > after:
                return
            await asyncio.sleep(LOOK_EVERY)
            if newest == after:  # of the same second: perhaps told already. A pause, so that this second spins nobody.
                return

    async def _look(self) -> None:
        failures = self._failures
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now - self._looked_at < LOOK_EVERY:
                return
            if failures != self._failures:  # all who wait share a failure too: none of them waits for one of his own
                raise Unavailable("database")
            try:
                await self._look_now()
            except Unavailable:
                self._failures += 1
                raise
            self._looked_at = now

    async def _look_now(self) -> None:
        async with self._server.ports.store.reading() as records:
            page = await records.ended.after(self._cursor)
        self._remember(page)

    def _remember(self, page: EndedPage) -> None:
        self._cursor = page.cursor
        if page.kids != self._kids:
            self._kids, self._kids_since = page.kids, page.now
        kept = {gid: second for gid, second in self._first_seen.items() if second > page.now - KEPT_SECONDS}
        self._first_seen = dict.fromkeys(page.gids, page.now) | kept
        self._newest = max(self._kids_since, *self._first_seen.values(), 0)


def _cursor(text: str | None) -> int:
    if text is None:
        return 0
    if not text.isdigit() or len(text) > _LONGEST_CURSOR:
        raise no("invalid_request", "after is not a cursor")
    return int(text)
