"""A browser at the `app` origin: the cookies of the BFF, and what such a browser may send (flows §1, §3)."""

from __future__ import annotations

from urllib.parse import urlsplit

from tests.faults import steps
from tests.faults.crash.wire import Sent
from tests.faults.steps import NAMES, Person
from tests.fixtures.nodes import APP, Node
from tests.fixtures.wire import Answer

_DOCUMENT = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
_SCRIPT = {"accept": "application/json", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}


class AppBrowser:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.jar: dict[str, str] = {}

    def navigation(self, path: str, *, site: str = "same-origin") -> Sent:
        return Sent("GET", path, {**_DOCUMENT, "sec-fetch-site": site, **self._cookies()}, None, "frontend")

    def posted(self, path: str) -> Sent:
        """By the app's own script."""
        csrf = {"x-csrf-token": self.jar.get(NAMES.csrf, ""), "origin": APP, "sec-fetch-site": "same-origin"}
        return Sent("POST", path, {**_SCRIPT, **csrf, **self._cookies()}, b"", "frontend")

    def _cookies(self) -> dict[str, str]:
        return {"cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())} if self.jar else {}

    def keep(self, answer: Answer) -> Answer:
        steps.keep(self.jar, answer.cookies)
        return answer

    def begun(self, node: Node) -> Sent:
        """Through /bff/login and /authorize, up to the callback that is about to be called."""
        there = self.keep(self.navigation("/bff/login").to(node))
        assert there.status == 303, there
        asked = urlsplit(there.headers["location"])
        headers = {"cookie": self.person.cookie, "sec-fetch-site": "cross-site"}
        back = node.ask("GET", f"{asked.path}?{asked.query}", headers=headers)
        assert back.status == 303, back
        callback = urlsplit(back.headers["location"])
        assert callback.path == "/bff/callback", back
        return self.navigation(f"{callback.path}?{callback.query}", site="cross-site")

    def sign_in(self, node: Node) -> AppBrowser:
        got = self.keep(self.begun(node).to(node))
        assert got.status == 200, got
        assert self.jar[NAMES.rt], got
        return self

    def session(self, node: Node) -> dict[str, object]:
        """Who the app is told that she is."""
        found = self.keep(self.navigation("/bff/session").to(node))
        assert found.status == 200, found
        return found.json()
