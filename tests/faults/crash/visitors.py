"""People at the real stack, through the gateway: they sign in by the pages, read, write, and keep their cookies."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from html import unescape
from urllib.parse import urlencode, urlsplit

from tests.browser import wire
from tests.browser.wire import Answer
from tests.faults import steps
from tests.faults.steps import FORM, hidden
from tests.fixtures.stack import Stack
from tests.fixtures.wire import Answer as Said

from bartizan.protocol.web import cookies

_AWAY = Answer(0, [], b"")  # the connection broke, or nobody answered
_HOPS = 8
_FILE = "01a20d90-11fb-7e89-942b-105c2a57c48e"  # of a photo: the demo's app takes any


class Visitor:
    def __init__(self, stack: Stack, email: str, password: str) -> None:
        urls = stack.status()["urls"]
        self.app, self.id = str(urls["app"]).rstrip("/"), str(urls["id"]).rstrip("/")
        self.names = cookies.names(self.app)
        self._email, self._password = email, password
        self._jars: dict[str, dict[str, str]] = {self.app: {}, self.id: {}}

    @property
    def at_app(self) -> dict[str, str]:
        return self._jars[self.app]

    def ask(self, method: str, url: str, *, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
        """Status 0 when it broke: never tried again by itself."""
        parts = urlsplit(url)
        jar = self._jars[f"{parts.scheme}://{parts.netloc}"]
        cookie = {"cookie": wire.cookie_header(jar)} if jar else {}
        try:
            answer = wire.send(method, url, headers={**cookie, **(headers or {})}, body=body)
        except (OSError, http.client.HTTPException):
            return _AWAY
        steps.keep(jar, answer.all("set-cookie"))
        return answer

    def navigate(self, url: str, site: str = "same-origin") -> Answer:
        headers = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
        return self.ask("GET", url, headers={**headers, "sec-fetch-site": site})

    def call(self, method: str, path: str, value: object = None) -> Answer:
        """By the app's script."""
        headers = {"accept": "application/json", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
        if method != "GET":
            headers |= {"x-csrf-token": self.at_app.get(self.names.csrf, ""), "origin": self.app}
        body = None if value is None else json.dumps(value).encode()
        if body is not None:
            headers["content-type"] = "application/json"
        return self.ask(method, self.app + path, headers=headers, body=body)

    def sign_in(self) -> Answer:
        """From /bff/login to the callback's answer: 200, or the first answer that leads nowhere."""
        url = f"{self.app}/bff/login"
        answer = self.navigate(url)
        for _ in range(_HOPS):
            location = answer.header("location")
            if answer.status != 303 or location is None:
                break
            url = location if "://" in location else self.id + location
            answer = self._fill(url) if urlsplit(url).path == "/signin" else self.navigate(url, "cross-site")
        assert answer.status != 200 or urlsplit(url).path == "/bff/callback", f"another page: {url}"
        return answer

    def _fill(self, url: str) -> Answer:
        page = self.navigate(url)
        if page.status != 200:
            return page
        given = {name: unescape(value) for name, value in hidden(Said(200, body=page.body)).items()}
        form = urlencode(given | {"identifier": self._email, "password": self._password}).encode()
        headers = {**FORM, "accept": "text/html", "origin": self.id, "sec-fetch-site": "same-origin"}
        return self.ask("POST", f"{self.id}/signin", headers=headers, body=form)

    def is_in(self, seconds: float = 10.0) -> bool:
        """Her session works, perhaps after one renewal, as soon as anybody answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = self.call("GET", "/api/whoami")
            if answer.status == 200:
                return True
            if answer.status == 401 and self.call("POST", "/bff/refresh").status == 401:
                return False
            time.sleep(0.05)
        return False


class Busy:
    """One visitor's thread: the same little work over and over, with every answer kept."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.read: list[int] = []
        self.wrote: dict[str, int] = {}  # title → status
        self.signed_in: list[int] = []
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def reading_and_writing(self, name: str, pause: float) -> Busy:
        return self._run(lambda number: self._read_and_write(f"{name} {number}"), pause)

    def signing_in(self) -> Busy:
        return self._run(lambda _: self.signed_in.append(self.visitor.sign_in().status), 0.02)

    def _run(self, work: Callable[[int], None], pause: float) -> Busy:
        def run() -> None:
            number = 0
            while not self._end.wait(pause):
                work(number)
                number += 1

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()
        return self

    def _read_and_write(self, title: str) -> None:
        self.read.append(self.visitor.call("GET", "/api/whoami").status)
        self.wrote[title] = self.visitor.call("POST", "/api/photos", {"title": title, "file_id": _FILE}).status

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
