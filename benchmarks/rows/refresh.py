"""Flows §6: rotation. Each connection is one client's chain: what it got is what it presents next."""

from __future__ import annotations

import asyncio

from benchmarks import probe
from benchmarks.figures import Result
from benchmarks.stage import Stage
from benchmarks.wire import FORM, Answer, basic, request

BAR, LONE_BAR, LONE_P50_MS = 0.25, 0.60, 2.0
_PREFIX = b"grant_type=refresh_token&refresh_token="


class Chain:
    """`scattered`: another family after each rotation, as in life, where one rotates every five minutes."""

    fresh = True

    def __init__(self, stage: Stage, *, openid: bool = False, scattered: bool = False) -> None:
        self._stage = stage
        self._openid = openid
        self._scattered = scattered
        self.family = -1
        self._head = b""

    def begin(self) -> bytes:
        """A family whose answer was bad is not put back: nobody knows where it stands."""
        return self.of(self._stage.deck.draw(openid=self._openid))

    def of(self, family: int) -> bytes:
        """Begin with this one, which was drawn."""
        self.family = family
        token = self._stage.deck.token(self.family)
        self._head = self._made(len(token))
        return self._head + token.encode()

    def again(self) -> bytes:
        """The same family's, with the token that it holds now."""
        return self._head + self._stage.deck.token(self.family).encode()

    def next_request(self, answer: Answer) -> bytes | None:
        token = answer.text(b"refresh_token") if answer.status == 200 else None
        if token is None:
            return None
        self._stage.deck.rotated(self.family)
        if self._scattered:
            self._stage.deck.put_back(self.family)
            return self.begin()
        return self._head + token

    def _made(self, length: int) -> bytes:
        stage = self._stage
        client = stage.cast.client_of(self.family)
        authorization = basic(stage.cast.client_id(client), stage.cast.client_secret(client))
        headers = stage.headers(stage.settings.issuer) | {"authorization": authorization, "content-type": FORM}
        return request("POST", "/token", headers, _PREFIX + b"x" * length)[:-length]


class FloorChain:
    fresh = True

    def __init__(self, stage: Stage, path: str, *, scattered: bool = False) -> None:
        self._stage = stage
        self._path = path
        self._scattered = scattered
        self.family = -1

    def begin(self) -> bytes:
        self.family = self._stage.deck.draw()
        token = f"{self._stage.cast.family_id(self.family).hex}.{self._stage.deck.generation(self.family)}"
        return self._made(token.encode())

    def next_request(self, answer: Answer) -> bytes | None:
        token = answer.text(b"refresh_token") if answer.status == 200 else None
        if token is None:
            return None
        self._stage.deck.rotated(self.family)
        if self._scattered:
            self._stage.deck.put_back(self.family)
            return self.begin()
        return self._made(token)

    def _made(self, token: bytes) -> bytes:
        return b"POST %b HTTP/1.1\r\nhost: floor\r\ncontent-length: %d\r\n\r\n%b" % (
            self._path.encode(), len(token), token,
        )  # fmt: skip


def refresh(stage: Stage) -> Result:
    count = stage.options.connections
    result = stage.product("refresh", [Chain(stage) for _ in range(count)], BAR)
    if stage.options.floor:
        stage.beside_floor(result, [FloorChain(stage, "/refresh_coalesced") for _ in range(count)], "floor_coalesced")
        stage.beside_floor(result, [FloorChain(stage, "/refresh") for _ in range(count)], "floor_one_by_one")
    return result


def refresh_lone(stage: Stage) -> Result:
    """Nobody waits for company: alone, it is as fast as one commit. That each was one is looked at: a session could
    have been told not to wait for the disk, and the server's settings would not show it."""
    before = asyncio.run(probe.told(stage.site))
    result = stage.product("refresh_lone", [Chain(stage)], LONE_BAR)
    after = asyncio.run(probe.told(stage.site))
    result.beside["wal_syncs"] = after.syncs - before.syncs
    if not result.void:
        result.void = probe.too_few_syncs(before, after)
    result.met = result.met and result.row.p50_ms <= LONE_P50_MS
    result.beside["bar_p50_ms"] = LONE_P50_MS
    if stage.options.floor:
        stage.beside_floor(result, [FloorChain(stage, "/refresh")])
    return result


def refresh_scattered(stage: Stage) -> Result:
    """Over all families, each as likely: pages are cold as they are in life."""
    return stage.product("refresh_scattered", _many(stage, scattered=True), None)


def refresh_openid(stage: Stage) -> Result:
    """With `openid` granted: a refresh gives no ID token (decision 0012), so it should cost what the others do."""
    return stage.product("refresh_openid", _many(stage, openid=True), None)


def _many(stage: Stage, *, openid: bool = False, scattered: bool = False) -> list[Chain]:
    return [Chain(stage, openid=openid, scattered=scattered) for _ in range(stage.options.connections)]
