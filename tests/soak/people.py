"""People at their browsers, through the gateway: sign-up with its mail, pages, forms, files, renewal, sign-out.

Each is a thread that draws what to do next by the seed. Whoever is told to come again does so within seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime

from tests.browser.steps import picture_bytes
from tests.soak.book import Away, Book
from tests.soak.browser import Browser, send
from tests.soak.house import House

from bartizan.stack import compile as compiled
from bartizan.stack import operations
from bartizan.stack.instance import opened
from bartizan.worker.inbox.box import Box

SOON = 2.0  # flows §7
BLIND = 13.0  # while something is hurt: the feed may have been unseen for 10 s
_PICTURE = picture_bytes()
_SIGNED_IN = "/views/photos"
_ACTION = re.compile(r'action="(/verify/[^"]+)"')


class Person:
    """Signed in or not; what it was acknowledged; what of it has ended, and when."""

    def __init__(self, house: House, book: Book, number: int, dice: random.Random) -> None:
        self.house = house
        self.book = book
        self.dice = dice
        self.number = number
        self.name = f"soak-{dice.getrandbits(40):010x}"
        self.email = f"{self.name}@example.com"
        self.password = f"walks-{dice.getrandbits(64):016x}-home"
        self.browser = Browser(house, book, self._address())
        self.signed_in = False
        self.sub = ""
        self._confirming = False  # sent, and perhaps never answered
        self.files: dict[str, bool] = {}  # id → there; those of unknown outcome are not in it
        self.ended: list[tuple[float, dict[str, str]]] = []  # when, and the cookies that were worth something before
        book.secret(self.password)

    def _address(self) -> str:
        return f"127.{self.dice.randrange(1, 255)}.{self.dice.randrange(256)}.{self.dice.randrange(1, 255)}"

    def live(self) -> None:
        """Until the run is over."""
        self._until(self.begin)
        actions = self._actions()
        while not self.book.over.is_set():
            action = self.dice.choices([one for one, _ in actions], [often for _, often in actions])[0]
            self._try(action if self.signed_in else self.sign_in)
            self.book.over.wait(self.dice.uniform(0.05, 0.6))

    def _actions(self) -> list[tuple[Callable[[], None], int]]:
        return [
            (self.read, 30), (self.write, 12), (self.refresh, 12), (self.renew, 8), (self.renew_a_post, 5),
            (self.look_at_session, 8), (self.upload, 4), (self.download, 4), (self.sign_out, 3), (self.try_ended, 6),
            (self.wrong_password, 1), (self.forged, 4), (self.cut, 3), (self.be_ended, 1),
        ]  # fmt: skip

    def _try(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except Away:
            self.book.over.wait(self.dice.uniform(0.2, 0.6))
            return False
        return True

    def _until(self, action: Callable[[], None]) -> None:
        while not self.book.over.is_set() and not self._try(action):
            pass

    def last_visit(self) -> None:
        """Signed in still; then no more."""
        if self.signed_in:
            for action in (self.look_at_session, self.renew, self.download, self.forged, self.sign_out):
                action()

    # Coming and going

    def begin(self) -> None:
        """A confirmation whose answer was lost may have made the account: then the password opens it."""
        if self._confirming:
            self._confirming = self._enter(200, 400)
        if not self._confirming:
            self.sign_up()

    def sign_up(self) -> None:
        at, _ = self.browser.go(f"{self.house.app}/bff/login?return_to={_SIGNED_IN}")
        at, page = self.browser.go(f"{self.house.id}/signup", site="same-origin")
        at, _ = self.browser.submit(at, page, "/signup", name=self.name, email=self.email, password=self.password)
        link = self._mail()
        self.book.secret(link.rpartition("/")[2])
        at, page = self.browser.go(link, site="none")
        found = _ACTION.search(page.body.decode())
        if found is None:
            raise Away
        self._confirming = True
        self._landed(*self.browser.submit(at, page, found[1]))

    def _mail(self) -> str:
        """I1: the job was enqueued with the link, so the mail comes, whatever dies."""
        box = Box(compiled.inbox(self.house.at), lambda: datetime.now(UTC), random.randbytes)
        until = time.monotonic() + 60
        while time.monotonic() < until and not self.book.over.is_set():
            for mail in box.all():
                if mail.to == self.email:
                    return mail.link
            time.sleep(0.2)  # a directory tells nobody of a new file
        self.book.look("I1", self.book.over.is_set(), f"no mail to {self.email} after a minute")
        raise Away

    def sign_in(self) -> None:
        self._enter(200)

    def _enter(self, *expected: int) -> bool:
        """False: there is no such account."""
        at, page = self.browser.go(f"{self.house.app}/bff/login?return_to={_SIGNED_IN}", site="same-origin")
        if at.startswith(f"{self.house.id}/signin"):
            given = {"identifier": self.email, "password": self.password}
            at, page = self.browser.submit(at, page, "/signin", expected=expected, **given)
        if page.status == 400:
            return False
        self._landed(at, page)
        return True

    def _landed(self, at: str, _: object) -> None:
        self.signed_in = at == self.house.app + _SIGNED_IN
        if not self.book.look(
            "I10", self.signed_in, f"the right password leads {self.email} to {at.partition('?')[0]}"
        ):
            raise Away
        self.book.token(self.browser.cookie("at"))

    def sign_out(self) -> None:
        """Of unknown outcome until it is answered: then both may be."""
        before = self._worth()
        self.signed_in = False
        answer = self.browser.fetch("POST", "/bff/logout", expected=(200, 401))
        self.ended.append((self.book.now, before))
        self.browser.go(
            json.loads(answer.body).get("continue", self.house.app + "/"), site="cross-site", expected=(200, 404)
        )

    def be_ended(self) -> None:
        """By the operator, all sessions of this person."""
        before = self._worth()
        self.signed_in = False
        try:
            asyncio.run(self._end())
        except Exception as wrong:  # whatever the command line would print while something is away
            self.book.look("answers", self.book.excused(self.book.now), f"the operator's command: {wrong!r}")
            raise Away from None
        self.ended.append((self.book.now, before))

    async def _end(self) -> None:
        async with opened(self.house.data, None) as instance:
            for row in await operations.list_sessions(instance, self.email):
                await operations.end_session(instance, row["id"])

    def _worth(self) -> dict[str, str]:
        return {short: self.browser.cookie(short) for short in ("at", "rt", "csrf")}

    # At the app

    def read(self) -> None:
        sub = json.loads(self._fetch("GET", "/api/whoami"))["sub"]
        self.sub = self.sub or sub
        self.book.look("I3", sub == self.sub, "the app sees somebody else")
        self._fetch("GET", "/api/photos")

    def write(self) -> None:
        self._fetch("POST", "/api/photos", json.dumps({"title": "A", "file_id": "0" * 32}).encode(), expected=(201,))

    def refresh(self) -> None:
        self._fetch("POST", "/bff/refresh")
        self.book.token(self.browser.cookie("at"))

    def renew(self) -> None:
        """The access cookie has run out: a navigation renews by redirect."""
        self.browser.drop("at", "hop")
        at, _ = self.browser.go(self.house.app + _SIGNED_IN, site="same-origin")
        self._still(at == self.house.app + _SIGNED_IN, "a navigation was sent to sign in")
        self.book.token(self.browser.cookie("at"))

    def renew_a_post(self) -> None:
        """And a POST comes through with its body."""
        self.browser.drop("at", "hop")
        got = self._fetch("POST", "/api/echo", b"x" * 5000, content_type="application/octet-stream")
        self.book.look("I10", json.loads(got)["length"] == 5000, "a body was lost in a renewal")

    def look_at_session(self) -> None:
        said = json.loads(self._fetch("GET", "/bff/session"))
        self._still(said["signed_in"], "the BFF says that nobody is signed in")

    def _fetch(
        self, method: str, path: str, body: bytes = b"", *, content_type: str = "application/json",
        expected: tuple[int, ...] = (200,),
    ) -> bytes:  # fmt: skip
        headers = {"content-type": content_type} if body else {}
        answer = self.browser.fetch(method, path, body, headers=headers, expected=(*expected, 401))
        self._still(answer.status != 401, f"{method} {path}: 401 {answer.body[:120]!r}")
        return answer.body

    def _still(self, fine: bool, wrong: str) -> None:
        """Nobody ended this session, so it lives."""
        if not self.book.look("I10", fine, f"{self.email}: {wrong}"):
            self.signed_in = False
            raise Away

    # Files

    def upload(self) -> None:
        headers = {"content-type": "image/jpeg", "x-file-name": "a.jpg"}
        answer = self.browser.fetch("POST", "/files", _PICTURE, headers=headers, expected=(201, 413))
        if answer.status == 201:
            self.files[json.loads(answer.body)["id"]] = True

    def download(self) -> None:
        listed = [file["id"] for file in json.loads(self._fetch("GET", "/files?limit=200"))["files"]]
        self.book.look("I5", len(listed) == len(set(listed)), "a file is listed twice")
        for one in self.files:
            self.book.look("I1", one in listed, f"the upload {one} was acknowledged and is gone")
        if listed:
            one = self.dice.choice(listed)
            url = json.loads(self._fetch("GET", f"/files/{one}/link"))["url"]
            self.book.secret(url.rpartition("/")[2])
            _, got = self.browser.go(url, site="cross-site")
            same = hashlib.sha256(got.body).digest() == hashlib.sha256(_PICTURE).digest()
            self.book.look("I1", same or one not in self.files, f"the file {one} is another")

    # What must not work

    def try_ended(self) -> None:
        """With what was worth something before a sign-out."""
        now = self.book.now
        for when, held in list(self.ended):
            if now - when < SOON or (now - when < BLIND and self.book.excused(when)):
                continue
            for method, path, wanted in (("GET", "/api/whoami", "at"), ("POST", "/bff/refresh", "rt")):
                if held[wanted]:
                    self._refused(method, path, wanted, held, now - when)
            self.ended.remove((when, held))

    def _refused(self, method: str, path: str, short: str, held: dict[str, str], age: float) -> None:
        name = f"__Host-bz{self.house.port}-{short}"
        headers = {
            "cookie": f"{name}={held[short]}", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors",
            "origin": self.house.app, "x-csrf-token": held["csrf"],
        }  # fmt: skip
        answer = send(method, self.house.app + path, headers, b"" if method == "POST" else None, self._address())
        self.book.look("I4", not 200 <= answer.status < 300, f"{path}: {answer.status}, {age:.1f} s after the end")

    def forged(self) -> None:
        """No token, no CSRF value, another's CSRF value: never a 2xx, and never a change."""
        csrf = self.dice.choice(["", "A" * 22])
        cookies = {name: value for name, (value, _) in self.browser.jars.get(self.house.app, {}).items()}
        jar = "; ".join(f"{name}={value}" for name, value in cookies.items())
        for headers in (
            {"cookie": jar, "sec-fetch-site": "same-origin", "x-csrf-token": csrf, "content-type": "application/json"},
            {"cookie": jar, "sec-fetch-site": "cross-site", "x-csrf-token": self.browser.cookie("csrf")},
            {"authorization": "Bearer " + self.browser.cookie("at")[:-6] + "AAAAAA", "x-bartizan-user": self.sub},
            {"x-bartizan-user": self.sub, "x-bartizan-authority": "cookie"},
        ):
            answer = send(
                "POST", f"{self.house.app}/api/photos", headers, b'{"title":"x","file_id":"0"}', self._address()
            )
            self.book.look("I3", not 200 <= answer.status < 300, f"a forged POST: {answer.status}")

    def wrong_password(self) -> None:
        """As somebody else, so that nobody of ours is kept out."""
        stranger = Browser(self.house, self.book, self._address())
        at, page = stranger.go(f"{self.house.id}/signin")
        wrong = f"guess-{self.dice.getrandbits(64):016x}"
        self.book.secret(wrong)
        who = self.dice.choice(["nobody@example.com", f"x{self.dice.getrandbits(32)}@example.com"])
        at, page = stranger.submit(at, page, "/signin", identifier=who, password=wrong, expected=(400,))
        self.book.look("I3", page.status == 400, f"a wrong password: {page.status}")

    def cut(self) -> None:
        """Goes away in the middle of a request, and of an answer."""
        whole = (
            f"POST /bff/refresh HTTP/1.1\r\nhost: app.localhost:{self.house.port}\r\ncontent-length: 400\r\n\r\n"
            + "x" * 300
        ).encode()
        try:
            with socket.create_connection(("127.0.0.1", self.house.port), 5) as line:
                line.sendall(whole[: self.dice.randrange(len(whole))])
        except OSError:
            return  # it was not there: as good
