"""Clients that are programs, straight at the auth servers' sockets: honest chains, whole flows, thefts, histories."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import uvloop
from asyncpg.exceptions import PostgresError
from tests.browser.wire import send
from tests.faults import steps
from tests.faults.cluster.crowd import Member
from tests.faults.steps import FORM, Person
from tests.fixtures.nodes import SECRET, Node
from tests.fixtures.wire import Answer
from tests.histories import run as histories
from tests.histories.plant import authorization, plant
from tests.soak.book import Away, Book
from tests.soak.house import House
from tests.soak.people import BLIND, SOON

from bartizan.protocol import jose
from bartizan.protocol.oauth import refresh

EVERY = 6.0  # seconds, about, between two refreshes of a chain
_CALLS = 500  # of one recorded history


class Chains:
    """Hundreds of honest clients that do nothing but stay signed in. A lost answer is asked for again, soon."""

    def __init__(self, house: House, book: Book, number: int, dice: random.Random) -> None:
        headers = {**authorization(house, "shop"), **FORM, "x-forwarded-for": "203.0.113.7"}
        grants = plant(house, number * 4 // 3, codes=False)
        self._house = house
        self._book = book
        self._dice = dice
        self.members = [Member(grant, house.doors, headers) for grant in grants if grant.client == "shop"]
        self.planted = {grant.family for grant in grants}

    def live(self) -> None:
        uvloop.run(self._all())

    async def _all(self) -> None:
        await asyncio.gather(*(self._one(member) for member in self.members))
        for member in self.members:
            member.close()

    async def _one(self, member: Member) -> None:
        await asyncio.sleep(self._dice.uniform(0, EVERY))
        while not self._book.over.is_set() and member.refused is None:
            await self.ask(member)
            await asyncio.sleep(self._dice.uniform(0.8, 1.2) * EVERY)

    async def ask(self, member: Member) -> None:
        while member.refused is None:
            begun = self._book.now
            said = await member.refresh(seconds=20.0)
            try:
                self._book.answer(
                    "refresh", said.status, retry="retry-after" in said.headers, begun=begun, expected=(200, 400)
                )
            except Away:
                if self._book.over.is_set():
                    return
                await asyncio.sleep(self._dice.uniform(0.2, 0.8))
                continue
            refused = "" if member.refused is None else member.refused.body[:100].decode("latin-1")
            self._book.look("I10", said.status == 200, f"an honest chain was refused: {refused}")
            self._book.token(member.access)
            self._book.secret(member.token)
            return

    def acknowledged(self) -> dict[UUID, int]:
        """Family → the generation that its client holds."""
        found = {}
        ring = self._house.ring().purpose(refresh.PURPOSE)  # as it is now: a key may have been added
        for member in self.members:
            token = refresh.decode(ring, member.token) if member.refused is None else None
            if token is not None:
                found[member.grant.family] = token.generation
        return found


class Machine:
    """One program that walks whole flows, and breaks the rules of each now and then."""

    def __init__(self, house: House, book: Book, person: Person, dice: random.Random) -> None:
        self._house = house
        self._book = book
        self._dice = dice
        self._person = person
        book.secret(SECRET, person.cookie.partition("=")[2])

    def live(self) -> None:
        walks = [self.code_flow, self.code_flow, self.code_twice, self.theft, self.revocation, self.alone]
        while not self._book.over.is_set():
            try:
                self._dice.choice(walks)()
            except Away:
                self._book.over.wait(self._dice.uniform(0.2, 0.6))
            self._book.over.wait(self._dice.uniform(0.0, 0.2))

    @property
    def _node(self) -> Node:
        return self._dice.choice(self._house.doors)

    def _said(self, what: str, begun: float, answer: Answer, *expected: int) -> Answer:
        retry = "retry-after" in answer.headers
        self._book.answer(what, answer.status, retry=retry, begun=begun, expected=expected)
        return answer

    def _code(self) -> str:
        begun = self._book.now
        answer = self._said("authorize", begun, steps.authorize(self._node, self._person), 303)
        if "code=" not in answer.headers["location"]:  # RFC 6749 §4.1.2.1: `temporarily_unavailable` goes back too
            self._book.look("answers", self._book.excused(begun), f"no code: {answer.headers['location']}")
            raise Away
        code = steps.code_in(answer)
        self._book.secret(code)
        return code

    def _tokens(self, answer: Answer) -> tuple[str, str]:
        given = answer.json()
        access, token = str(given["access_token"]), str(given["refresh_token"])
        self._book.token(access)
        self._book.secret(token)
        return access, token

    def _redeemed(self, code: str) -> tuple[str, str]:
        """A lost answer is the end of this code: it may have been used, and a second use would be a replay."""
        begun = self._book.now
        return self._tokens(self._said("redeem", begun, steps.redeem(self._node, code), 200))

    def _refreshed(self, token: str) -> tuple[str, str]:
        begun = self._book.now
        return self._tokens(self._said("refresh", begun, steps.refreshed(self._node, token), 200))

    def _active(self, token: str) -> bool:
        begun = self._book.now
        return bool(self._said("introspect", begun, steps.introspect(self._node, token), 200).json()["active"])

    def code_flow(self) -> None:
        access, token = self._redeemed(self._code())
        begun = self._book.now
        self._said("userinfo", begun, steps.userinfo(self._node, access), 200)
        self._book.look("I10", self._active(access), "introspection does not know a new token")
        access, token = self._refreshed(token)
        self._book.look("I10", self._active(token), "introspection does not know a refreshed token")

    def code_twice(self) -> None:
        """At once, at both workers: one of them at most, and then what it bought has ended."""
        code, begun = self._code(), self._book.now
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(lambda node: steps.redeem(node, code), self._house.doors))
        bought = [answer for answer in both if answer.status == 200]
        self._book.look("I2", len(bought) <= 1, f"a code bought {len(bought)} times")
        for answer in both:
            self._said("redeem twice", begun, answer, 200, 400)
        for answer in bought:
            access, token = self._tokens(answer)
            self._ended(access, token, "a replayed code")

    def theft(self) -> None:
        """Two below the row's, past its grace: the thief is refused, and so is the victim from then on."""
        _, first = self._redeemed(self._code())
        _, second = self._refreshed(first)
        self._age(second)
        access, third = self._refreshed(second)
        self._age(third)
        begun = self._book.now
        answer = self._said("theft", begun, steps.refreshed(self._node, first), 400)
        self._book.look("I2", b"invalid_grant" in answer.body, f"a spent token: {answer.body[:80]!r}")
        self._ended(access, third, "a theft")

    def _age(self, token: str) -> None:
        held = refresh.decode(self._house.ring().purpose(refresh.PURPOSE), token)
        assert held is not None, "a token of ours"
        try:
            steps.age(self._house, held.family)
        except (OSError, PostgresError, TimeoutError):  # the database is hurt just now
            raise Away from None

    def revocation(self) -> None:
        access, token = self._redeemed(self._code())
        begun = self._book.now
        self._said("revoke", begun, steps.revoke(self._node, token), 200)
        self._ended(access, token, "a revocation")

    def _ended(self, access: str, token: str, what: str) -> None:
        """At once here; at the gateway and at the app's guard within two seconds."""
        when, begun = self._book.now, self._book.now
        self._book.look("I4", not self._active(token), f"after {what} its refresh token is active")
        self._book.look("I4", not self._active(access), f"after {what} its access token is active")
        answer = self._said("refresh what ended", begun, steps.refreshed(self._node, token), 400)
        self._book.look("I4", answer.status != 200, f"after {what} it can be refreshed")
        self._book.over.wait(SOON)
        if self._book.excused(when):
            self._book.over.wait(BLIND - SOON)
        self._through_the_gateway(access, what, self._book.now - when)

    def _through_the_gateway(self, access: str, what: str, age: float) -> None:
        if age < SOON or (age < BLIND and self._book.excused(self._book.now - age)):
            return  # the run is over
        try:
            got = send("GET", f"{self._house.app}/api/whoami", headers={"authorization": f"Bearer {access}"})
        except OSError:
            return
        self._book.look("I4", not 200 <= got.status < 300, f"{age:.1f} s after {what} the gateway says {got.status}")

    def alone(self) -> None:
        """client_credentials, and a wrong secret."""
        begun = self._book.now
        answer = self._said("client_credentials", begun, steps.credentials(self._node), 200)
        access = str(answer.json()["access_token"])
        self._book.token(access)
        self._book.look("I10", self._active(access), "introspection does not know a client's own token")
        body, begun = b"grant_type=client_credentials", self._book.now
        wrong = {**FORM, **steps.basic("agent", f"bzs_{self._dice.getrandbits(256):064x}"[:47])}
        refused = self._said("wrong secret", begun, self._node.ask("POST", "/token", headers=wrong, body=body), 401)
        self._book.look("I3", refused.status == 401, "a wrong secret was let in")


class Histories:
    """One short history after the other, each checked at once; the faults of the run are their disasters."""

    def __init__(self, house: House, book: Book, seed: int) -> None:
        self._house = house
        self._book = book
        self._seed = seed
        self.calls = 0
        self.planted: set[UUID] = set()
        self.kept: list[str] = []

    def live(self) -> None:
        one = 0
        while not self._book.over.is_set():
            one += 1
            settings = histories.Settings(calls=_CALLS, seed=self._seed * 1000 + one)
            ring = self._house.ring().purpose(refresh.PURPOSE).newest
            try:
                history = histories.record(self._house, self._house.doors, settings)
                self.planted |= {grant.family for grant in history.grants.values()}
                if (
                    self._house.ring().purpose(refresh.PURPOSE).newest == ring
                ):  # else its holders cannot read the tokens of the new key
                    self._check(history)
            except (OSError, PostgresError, TimeoutError):
                self._book.over.wait(0.5)  # the database is away: nothing could be planted, or counted
            self._book.over.wait(1.5)

    def _check(self, history: histories.History) -> None:
        self.calls += len(history.calls)
        report = histories.check(history)
        fine = not report.wrong
        if not fine:
            kept = histories.keep(history)
            self.kept.append(str(shutil.move(kept, kept.with_suffix(f".{int(time.time())}"))))
        told = "" if fine else histories.told(history, report)
        self._book.look("linearizable", fine, told)
        for fault in history.faults:
            self._book.look("answers", False, f"in a history: {fault}")
        missing = asyncio.run(histories.lost(self._house.url, history))
        self._book.look("I1", not missing, f"{len(missing)}: {missing[:2]}")


class Verifier:
    """I6, as a resource server sees it: what is not expired verifies with what is published now, at every worker."""

    def __init__(self, house: House, book: Book, dice: random.Random) -> None:
        self._house = house
        self._book = book
        self._dice = dice

    def live(self) -> None:
        while not self._book.over.wait(0.5):
            self.look()

    def look(self) -> None:
        tokens = [*self._book.tokens, *self._book.older]
        answer = self._dice.choice(self._house.doors).ask("GET", "/jwks")
        if answer.status != 200:
            return
        keys = jose.key_set(json.loads(answer.body))
        for token in self._dice.sample(tokens, min(20, len(tokens))):
            self._book.look("I6", *self._verdict(token, keys))

    def _verdict(self, token: str, keys: jose.KeySet) -> tuple[bool, str]:
        try:
            jose.verify(
                token, keys, algorithms=("ES256",), typ="at+jwt", issuer=self._house.id, audience=None,
                now=int(time.time()), leeway=0,
            )  # fmt: skip
        except jose.InvalidToken as bad:
            return bad.reason == "expired" or "exp" in bad.reason, f"a fresh token: {bad.reason}"
        return True, ""
