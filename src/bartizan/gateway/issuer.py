"""Flows §7: what the agent fetches of the issuer. The keys are kept as they came, for Envoy takes JWKS, no objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import monotonic

from bartizan.gateway.settings import GatewaySettings
from bartizan.guard.fetch import Fetcher
from bartizan.guard.keys import FEED_PATH
from bartizan.protocol.jose import KeySet, public_part

JWKS_PATH = "/jwks"
_LEAST = 0.1  # seconds: a time-out of 0 would mean none


class Issuer:
    """The `Fetch` that a Watch is given: GET from the auth server, by socket or by name."""

    def __init__(self, settings: GatewaySettings, turned: Callable[[], None] = lambda: None) -> None:
        """`turned` is called before each question and after its answer, by whoever's thread asks."""
        self._turned = turned
        addresses = (settings.auth_address, *settings.auth_others)
        self._fetchers = tuple(Fetcher(settings.id_origin, address) for address in addresses)  # who failed last is last
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
        for fetcher in self._fetchers:
            try:
                return fetcher(path, max(end - monotonic(), _LEAST))
            except OSError as error:
                wrong = error
                self._fetchers = (*(other for other in self._fetchers if other is not fetcher), fetcher)
                if monotonic() >= end:
                    break
        raise wrong
