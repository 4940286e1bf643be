"""Flows §7: what the agent fetches of the issuer. The keys are kept as they came, for Envoy takes JWKS, no objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import HTTPException
from time import monotonic
from urllib.parse import urlsplit

from bartizan.gateway.settings import GatewaySettings
from bartizan.guard import localhost
from bartizan.guard.keys import FEED_PATH
from bartizan.protocol.jose import KeySet, public_part

JWKS_PATH = "/jwks"
_ANSWER_LIMIT = 4 * 1024 * 1024
_LEAST = 0.1  # seconds: a time-out of 0 would mean none


class Issuer:
    """The `Fetch` that a Watch is given: GET from the auth server, by socket or by name."""

    def __init__(self, settings: GatewaySettings, turned: Callable[[], None] = lambda: None) -> None:
        """`turned` is called before each question and after its answer, by whoever's thread asks."""
        self._turned = turned
        self._parts = urlsplit(settings.id_origin)
        self._addresses = (settings.auth_address, *settings.auth_others)  # who failed last stands last
        self._jwks: list[dict[str, str]] = []
        self.answered_at = float("-inf")  # monotonic, of the feed

    def __call__(self, path: str, timeout: float) -> bytes:
        self._turned()
        body = self._get(path, timeout)
        self._turned()
        if path == JWKS_PATH:
            self._remember(body)
        elif path.startswith(FEED_PATH):
            self.answered_at = monotonic()
        return body

    def jwks(self, held: KeySet) -> str:
        """The keys that verified as keys, their public members alone, always in one order: equal sets, equal text."""
        keys = [
            public_part(key) | {"alg": held.by_kid[key["kid"]].alg}
            for key in self._jwks
            if key.get("kid") in held.by_kid
        ]
        return json.dumps({"keys": sorted(keys, key=lambda key: key["kid"])}, sort_keys=True)

    def _remember(self, body: bytes) -> None:
        document = json.loads(body)
        keys = document.get("keys") if isinstance(document, dict) else None
        self._jwks = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []

    def _get(self, path: str, timeout: float) -> bytes:
        """Asks the next worker when one refuses, within the same time."""
        end, wrong = monotonic() + timeout, OSError("nobody was asked")
        for address in self._addresses:
            try:
                return self._ask(address, path, max(end - monotonic(), _LEAST))
            except OSError as error:
                wrong = error
                self._addresses = (*(other for other in self._addresses if other != address), address)
                if monotonic() >= end:
                    break
        raise wrong

    def _ask(self, address: str, path: str, timeout: float) -> bytes:
        unix = address.startswith("unix:")
        dialled = self._parts if unix else urlsplit(address)
        line = localhost.connection(
            dialled.scheme, dialled.hostname or "", dialled.port, timeout=timeout, address=address if unix else ""
        )
        try:
            line.request("GET", path, headers={"Host": self._parts.netloc, "Accept": "*/*"})
            with line.getresponse() as answer:
                body = answer.read(_ANSWER_LIMIT + 1)
        except (HTTPException, ValueError) as error:
            raise OSError(f"{path} answers no HTTP: {error!r}") from error
        finally:
            line.close()
        if answer.status != 200 or len(body) > _ANSWER_LIMIT:
            raise OSError(f"{path} answers {answer.status} with {len(body)} bytes")
        return body
