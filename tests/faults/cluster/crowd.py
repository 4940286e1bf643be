"""Many clients that keep signed in: each holds one refresh token and what was acknowledged to it, as an app does."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence

import msgspec
from tests.fixtures.nodes import Node, Site
from tests.fixtures.wire import Answer, NotSentError, Wire
from tests.histories.plant import Grant, authorization, plant
from tests.histories.play import FORM, Given

from bartizan.protocol.oauth import refresh


class Member:
    """Its chain of refresh tokens. What it never got an answer to, it asks again."""

    def __init__(self, grant: Grant, nodes: Sequence[Node], headers: dict[str, str]) -> None:
        self.grant = grant
        self.token = grant.token
        self.access = ""
        self.rotations = 0
        self.done_at = 0.0
        self.refused: Answer | None = None
        self._wires = [Wire(node.sockets / "auth.sock") for node in nodes]
        self._headers = headers

    async def refresh(self, seconds: float = 30.0) -> Answer:
        """At one of the nodes."""
        wire = random.choice(self._wires)
        body = f"grant_type=refresh_token&refresh_token={self.token}".encode()
        try:
            said = await wire.ask("POST", "/token", self._headers, body, seconds=seconds)
        except NotSentError:
            return Answer(0)
        if said.status == 200:
            given = msgspec.json.decode(said.body, type=Given)
            self.token, self.access = given.refresh_token, given.access_token
            self.rotations += 1
            self.done_at = time.monotonic()
        elif said.status not in (0, 429, 503):
            self.refused = said
        return said

    def close(self) -> None:
        for wire in self._wires:
            wire.close()


class Crowd:
    def __init__(self, site: Site, nodes: Sequence[Node], number: int) -> None:
        headers = {
            client: authorization(site, client) | {"content-type": FORM, "x-forwarded-for": "203.0.113.7"}
            for client in ("app", "shop")
        }
        self._site = site
        self._ring = site.ring().purpose(refresh.PURPOSE)
        self.members = [Member(grant, nodes, headers[grant.client]) for grant in plant(site, number, codes=False)]
        self.statuses: Counter[int] = Counter()
        self.times: list[float] = []
        self.bare = 0  # refusals without Retry-After

    async def ask(self, member: Member) -> Answer:
        """One refresh, counted and timed."""
        begun = time.monotonic()
        said = await member.refresh()
        self.times.append(time.monotonic() - begun)
        self.statuses[said.status] += 1
        self.bare += said.status in (429, 503) and "retry-after" not in said.headers
        return said

    async def until_done(self, member: Member, *, seconds: float) -> None:
        """Tries again as it is told, with jitter, until it has rotated."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and member.refused is None:
            said = await self.ask(member)
            if said.status == 200:
                return
            await asyncio.sleep(float(said.headers.get("retry-after", "1")) * random.uniform(0.5, 1.0))

    async def go_on(self, member: Member, until: float, pause: float = 0.02) -> None:
        while time.monotonic() < until and member.refused is None:
            said = await self.ask(member)
            await asyncio.sleep(pause if said.status == 200 else 0.3)

    def worst(self) -> float:
        return max(self.times, default=0.0)

    def forget(self) -> None:
        self.statuses.clear()
        self.times.clear()

    def generation(self, member: Member) -> int:
        """The one that was acknowledged."""
        token = refresh.decode(self._ring, member.token)
        assert token is not None
        return token.generation

    def close(self) -> None:
        for member in self.members:
            member.close()


def share(times: list[float], part: float) -> float:
    """The time that so many of them stay below."""
    return sorted(times)[min(int(len(times) * part), len(times) - 1)]
