"""Flows §7: GET from the issuer, for guards and for the gateway's agent: no redirects, no proxies, a bounded answer."""

from __future__ import annotations

from http.client import HTTPException
from urllib.parse import urlsplit

from bartizan.guard import localhost

ANSWER_LIMIT = 4 * 1024 * 1024


class Fetcher:
    """One connection a fetch, as fetches are rare. `address`: where the issuer is dialled when not under its own name,
    `unix:/…/auth.sock` or another origin; it is asked under its own name all the same."""

    def __init__(self, issuer: str, address: str = "") -> None:
        self._name = urlsplit(issuer).netloc
        self._dialled = urlsplit(issuer if not address or address.startswith("unix:") else address)
        self._socket = address if address.startswith("unix:") else ""

    def __call__(self, path: str, timeout: float) -> bytes:
        """The body of a 200; else OSError."""
        at = self._dialled
        line = localhost.connection(at.scheme, at.hostname or "", at.port, timeout=timeout, address=self._socket)
        try:
            line.request("GET", path, headers={"Host": self._name, "Accept": "*/*"})
            with line.getresponse() as answer:
                body = answer.read(ANSWER_LIMIT + 1)
        except (HTTPException, ValueError) as error:  # garbage, which http.client does not count as OSError
            raise OSError(f"{path} answers no HTTP: {error!r}") from error
        finally:
            line.close()
        if answer.status != 200:
            raise OSError(f"{path} answers {answer.status}")
        if len(body) > ANSWER_LIMIT:
            raise OSError(f"{path} answers too much")
        return body
