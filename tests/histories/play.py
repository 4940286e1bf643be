"""The holders of one grant: three at once, each choosing by the seed what to do next with what they know together."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter

import msgspec
from msgspec import Struct
from tests.faults.steps import VERIFIER
from tests.fixtures.nodes import BACK, Node
from tests.fixtures.wire import Answer, NotSentError, Wire
from tests.histories.calls import DONE, REFUSED, Call, Kind
from tests.histories.plant import Grant, sso

from bartizan.protocol.oauth import refresh
from bartizan.protocol.secrets import Ring

FORM = "application/x-www-form-urlencoded"

# What a holder does, so often of a thousand times. The last rows end the grant, or should.
_CHOICES = {
    "refresh": 580, "refresh the one before": 80, "introspect": 160, "introspect access": 140,
    "steal": 6, "replay": 6, "revoke": 8, "logout": 20,
}  # fmt: skip
_AFTER_ITS_END = 3  # calls of each holder that show that it stays ended
_UNKNOWN = (0, 503)
_PAUSE = 0.25  # seconds, after an answer that says to come again
_OUT_OF_TURN = 0.12  # tabs without a lock: rare enough that many a grant lives on


class Given(Struct, frozen=True):
    access_token: str
    refresh_token: str = ""
    id_token: str = ""


class Known:
    """What the holders of a grant know of it, and the turn that most of them wait for before they rotate."""

    def __init__(self, token: str) -> None:
        self.tokens = {1: token} if token else {}
        self.newest = len(self.tokens)
        self.access = self.id_token = ""
        self.over = False
        self.turn = asyncio.Lock()


class Book:
    """All calls, and what was answered that no answer may be."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.faults: list[str] = []
        self.answers: Counter[str] = Counter()
        self._awaited: list[tuple[int, asyncio.Event]] = []

    async def reaches(self, number: float) -> None:
        """Waits for so many calls."""
        event = asyncio.Event()
        self._awaited.append((int(number), event))
        await event.wait()

    def note(self, call: Call, said: Answer) -> None:
        self.calls.append(call)
        for number, event in self._awaited:
            if len(self.calls) >= number:
                event.set()
        answer = str(said.status or "broken") if not call.known else "refused" if call.said == REFUSED else "done"
        self.answers[f"{call.kind.value}: {answer}"] += 1


class Holder:
    def __init__(self, grant: Grant, known: Known, nodes: list[Node], book: Book, dice: random.Random) -> None:
        self._grant = grant
        self._known = known
        self._wires = {node.name: Wire(node.sockets / "auth.sock") for node in nodes}
        self._book = book
        self._dice = dice

    async def play(self, steps: int, *, first: bool, headers: dict[str, str], ring: Ring) -> None:
        self._headers, self._ring = headers | {"content-type": FORM}, ring
        after = 0
        try:
            if self._grant.code and not self._known.tokens and (first or self._dice.random() < 0.1):
                await self._redeem()
            for _ in range(steps):
                await self._step()
                after += self._known.over
                if after >= _AFTER_ITS_END:
                    return
        finally:
            for wire in self._wires.values():
                wire.close()

    async def _step(self) -> None:
        known = self._known
        what = self._dice.choices(list(_CHOICES), list(_CHOICES.values()))[0]
        if self._grant.code and (not known.tokens or what == "replay"):
            if known.tokens or self._dice.random() < 0.05:
                await self._redeem()
            else:
                await asyncio.sleep(0.01)  # it is being bought by another holder
        elif what == "refresh the one before":
            async with known.turn:
                await self._refresh(max(known.newest - 1, 1))
        elif what == "steal":
            await self._refresh(self._dice.randint(1, max(known.newest - 2, 1)))  # remembered by its row, or not
        elif what == "introspect":
            await self._ask(max(known.newest - self._dice.choice((0, 0, 1, 2)), 1))
        elif what == "introspect access" and known.access:
            await self._call(Kind.ASK_ACCESS, "/introspect", f"token={known.access}")
        elif what == "revoke":
            await self._call(Kind.REVOKE, "/revoke", f"token={known.tokens[known.newest]}", known.newest)
        elif what == "logout" and known.id_token:
            await self._call(Kind.LOGOUT, f"/logout?id_token_hint={known.id_token}")
        elif self._dice.random() < _OUT_OF_TURN:
            await self._refresh(known.newest)
        else:
            async with known.turn:
                await self._refresh(known.newest)

    async def _redeem(self) -> None:
        body = f"grant_type=authorization_code&code={self._grant.code}&code_verifier={VERIFIER}&redirect_uri={BACK}"
        await self._call(Kind.REDEEM, "/token", body)

    async def _refresh(self, generation: int) -> None:
        token = self._known.tokens.get(generation)
        if token is not None:
            await self._call(Kind.REFRESH, "/token", f"grant_type=refresh_token&refresh_token={token}", generation)

    async def _ask(self, generation: int) -> None:
        token = self._known.tokens.get(generation)
        if token is not None:
            await self._call(Kind.ASK_REFRESH, "/introspect", f"token={token}", generation)

    async def _call(self, kind: Kind, path: str, body: str = "", generation: int = 0) -> None:
        """At one of the nodes; if nobody listens there, at the other."""
        names = list(self._wires)
        self._dice.shuffle(names)
        for name in names:
            invoked = time.monotonic()
            try:
                if kind is Kind.LOGOUT:
                    said = await self._wires[name].ask("GET", path, sso(self._grant))
                else:
                    said = await self._wires[name].ask("POST", path, self._headers, body.encode())
            except NotSentError:
                continue
            self._note(kind, generation, invoked, said, name)
            if said.status in _UNKNOWN:
                await asyncio.sleep(_PAUSE * (1 + self._dice.random()))
            return

    def _note(self, kind: Kind, generation: int, invoked: float, said: Answer, node: str) -> None:
        known = said.status not in _UNKNOWN
        if said.status == 503 and "retry-after" not in said.headers:
            self._book.faults.append(f"{kind}: 503 without Retry-After")
        call = Call(
            grant=self._grant.number,
            kind=kind,
            invoked=invoked,
            returned=time.monotonic() if known else None,
            generation=generation,
            said=self._read(kind, said) if known else REFUSED,
            node=node,
        )
        self._book.note(call, said)
        if known and call.said == REFUSED and kind is not Kind.ASK_REFRESH:
            self._known.over = True
        if known and kind in (Kind.REVOKE, Kind.LOGOUT):
            self._known.over = True

    def _read(self, kind: Kind, said: Answer) -> int:
        if kind is Kind.LOGOUT:
            return self._expect(kind, said, 303) and DONE
        if kind is Kind.REVOKE:
            return self._expect(kind, said, 200) and DONE
        if kind in (Kind.ASK_REFRESH, Kind.ASK_ACCESS):
            return DONE if self._expect(kind, said, 200) and b'"active":true' in said.body else REFUSED
        if said.status == 400 and b"invalid_grant" in said.body:
            return REFUSED
        return self._given(msgspec.json.decode(said.body, type=Given)) if self._expect(kind, said, 200) else REFUSED

    def _expect(self, kind: Kind, said: Answer, status: int) -> bool:
        if said.status != status:
            self._book.faults.append(f"{kind}: {said.status} {said.body[:200]!r}")
        return said.status == status

    def _given(self, given: Given) -> int:
        token = refresh.decode(self._ring, given.refresh_token)
        if token is None:
            self._book.faults.append("a refresh token that is not ours")
            return REFUSED
        known = self._known
        known.tokens[token.generation] = given.refresh_token
        known.newest = max(known.newest, token.generation)
        known.access, known.id_token = given.access_token, given.id_token or known.id_token
        return token.generation
