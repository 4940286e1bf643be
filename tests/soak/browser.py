"""A browser, as far as our servers can tell: cookies by origin, `Sec-Fetch-…`, redirects, pages that refresh."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from urllib.parse import urlencode, urljoin, urlsplit

from tests.browser import wire
from tests.faults.steps import FORM, hidden
from tests.fixtures.wire import Answer
from tests.soak.book import Away, Book
from tests.soak.house import House

_OPEN = ("csrf", "hop")  # cookies that are no secrets: a script may read the one, the other says nothing
_ROUNDS = 20


class Browser:
    def __init__(self, house: House, book: Book, source: str) -> None:
        """`source`: its address, a loopback one of its own, so that nobody shares its limits."""
        self.house = house
        self.book = book
        self._source = source
        self.jars: dict[str, dict[str, tuple[str, bool]]] = {}  # origin → name → value, and whether it is Strict

    def cookie(self, short: str) -> str:
        """Of the app's: `at`, `rt`, `csrf`; "" when there is none."""
        return self._named(self.house.app, short)[1]

    def drop(self, *shorts: str) -> None:
        """As time does."""
        for short in shorts:
            self.jars.get(self.house.app, {}).pop(self._named(self.house.app, short)[0], None)

    def _named(self, origin: str, short: str) -> tuple[str, str]:
        held = self.jars.get(origin, {})
        return next(((name, pair[0]) for name, pair in held.items() if name.endswith(f"-{short}")), ("", ""))

    def go(self, url: str, *, site: str = "none", expected: tuple[int, ...] = (200,)) -> tuple[str, Answer]:
        """Opens it in the tab. Gives where it landed."""
        return self._follow("GET", url, {}, b"", site, expected)

    def submit(
        self, at: str, page: Answer, action: str, *, expected: tuple[int, ...] = (200,), **fields: str
    ) -> tuple[str, Answer]:
        """The form of `page`, which was found at `at`, that leads to `action`."""
        body = urlencode(hidden(page) | fields).encode()
        headers = {**FORM, "origin": _origin(at)}
        return self._follow("POST", urljoin(at, action), headers, body, "same-origin", expected)

    def fetch(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        expected: tuple[int, ...] = (200,),
    ) -> Answer:
        """As the app's own script: with the CSRF value it read, through a renewal where there is one."""
        given = {"x-csrf-token": self.cookie("csrf"), "origin": self.house.app, **(headers or {})}
        if method == "GET":
            del given["origin"]
        url = self.house.app + path
        for _ in range(_ROUNDS):
            answer = self._send(method, url, {**given, "sec-fetch-mode": "cors"}, body, "same-origin", expected)
            if answer.status != 307:
                return answer
            url = urljoin(url, answer.headers["location"])
        self.book.look("I10", False, f"{method} {path} goes round in circles")
        raise Away

    def _follow(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, site: str, expected: tuple[int, ...]
    ) -> tuple[str, Answer]:
        page = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", **headers}
        for _ in range(_ROUNDS):
            answer = self._send(method, url, page, body, site, expected)
            onward, again = answer.headers.get("location", ""), answer.headers.get("refresh", "")
            if answer.status == 303:
                method, body = "GET", b""
                page = {name: value for name, value in page.items() if name not in ("content-type", "origin")}
            elif answer.status == 200 and again:
                onward, site = again.partition("url=")[2], "same-origin"
            elif answer.status != 307:
                return url, answer
            onward = urljoin(url, onward)
            if _origin(onward) != _origin(url):
                site = "cross-site"
            url = onward
        self.book.look("I10", False, f"{url.partition('?')[0]} goes round in circles")
        raise Away

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, site: str, expected: tuple[int, ...]
    ) -> Answer:
        held = self.jars.setdefault(_origin(url), {})
        sent = {name: value for name, (value, strict) in held.items() if not strict or site != "cross-site"}
        given = {"user-agent": "Firefox", "sec-fetch-site": site, **headers}
        if sent:
            given["cookie"] = wire.cookie_header(sent)
        begun = self.book.now
        answer = send(method, url, given, body if method != "GET" else None, self._source)
        self._keep(held, answer)
        what = f"{method} {_kind(url)}"
        self.book.answer(
            what, answer.status, retry="retry-after" in answer.headers, begun=begun, expected=(*expected, 303, 307)
        )
        return answer

    def _keep(self, held: dict[str, tuple[str, bool]], answer: Answer) -> None:
        for line in answer.cookies:
            pair, _, attributes = line.partition(";")
            name, _, value = pair.partition("=")
            if "max-age=0" in attributes.lower() or not value:
                held.pop(name, None)
            else:
                held[name] = (value, "samesite=strict" in attributes.lower())
                if not name.endswith(_OPEN):
                    self.book.secret(value)


def send(method: str, url: str, headers: dict[str, str], body: bytes | None, source: str) -> Answer:
    """A broken connection is status 0."""
    try:
        got = wire.send(method, url, headers=headers, body=body, source=source)
    except (OSError, http.client.HTTPException):
        time.sleep(0.02)  # a refused connection comes back at once, and there are many who try
        return Answer(0)
    names = {name.lower(): value for name, value in got.headers}
    return Answer(got.status, names, tuple(got.all("set-cookie")), got.body)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _kind(url: str) -> str:
    """The first two words of the path: what follows may be an id, or a secret."""
    return "/" + "/".join(urlsplit(url).path.split("/")[1:3][: 1 if "/f/" in url or "/verify/" in url else 2])
