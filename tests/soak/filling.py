"""What has a bound is filled to it right after a start, so that what still grows afterwards has none.

Envoy holds `MOST_TOKENS` verified tokens a worker (9 KB each, LRU), which a quarter of an hour's renewals would fill;
agent, Envoy and web hold the list of the ended, which is as long as people end sessions quickly. Both are filled once
for each process that comes: with tokens that the gateway verifies and then refuses for want of their CSRF value, and
with ids that hang on nothing. So from their first minute on these servers have had all the memory that they may want.
"""

from __future__ import annotations

import asyncio
import http.client
import secrets
import time
from uuid import uuid4

from asyncpg.exceptions import PostgresError
from tests.soak.book import Book
from tests.soak.house import WORKERS, House

from bartizan.auth.keys import SigningKeys
from bartizan.gateway.compiler.published import MOST_TOKENS
from bartizan.protocol import jose
from bartizan.protocol.oauth.access import TYP, AccessToken, claims
from bartizan.protocol.refusal import Unavailable
from bartizan.protocol.secrets import to_base64url
from bartizan.stack import compile as compiled
from bartizan.stack.instance import opened

LISTED = 3000  # more than ever is, in a soak; and far from the 20,000 at which the key would change
LISTED_SECONDS = 120  # as long as what people end, here
SETTLED = 3.0  # seconds that a new process gets
_TOKENS = 3 * MOST_TOKENS  # for two workers, among which the kernel deals out connections
_LISTING = ("agent", "envoy", *WORKERS)


class Filling:
    def __init__(self, house: House, book: Book) -> None:
        self._house = house
        self._book = book
        self._filled: set[int | None] = {None}  # None: it is down, and has nothing to be filled

    def live(self) -> None:
        while not self._book.over.wait(1.0):
            new = {server: pid for server in _LISTING if (pid := self._house.pid(server)) not in self._filled}
            if new and not self._book.over.wait(SETTLED):
                try:
                    signer = asyncio.run(self._list())
                    if "envoy" in new:
                        self._show(signer)
                except (OSError, http.client.HTTPException, PostgresError, Unavailable):
                    continue  # something is hurt just now
                self._filled |= set(new.values())

    def _show(self, signer: jose.Signer) -> None:
        """Beside the others, not before them."""
        headers = {"host": self._house.app.partition("://")[2], "sec-fetch-site": "same-origin", "connection": "close"}
        line = http.client.HTTPConnection("127.0.0.1", self._house.port, timeout=5)  # again for each request
        for one in range(_TOKENS):
            if one % 20 == 0 and self._book.over.wait(0.01):
                return
            line.request("POST", "/api/photos", headers={**headers, "authorization": f"Bearer {self._token(signer)}"})
            answer = line.getresponse()
            answer.read()
            self._book.look("I3", not 200 <= answer.status < 300, f"without its CSRF value: {answer.status}")

    async def _list(self) -> jose.Signer:
        """Gives who signs now."""
        async with opened(self._house.data, None) as instance:
            async with instance.store.within(transaction=False) as handed:
                await handed.connection.execute(_LIST, LISTED, LISTED_SECONDS)
            settings = compiled.auth(instance.at)
            return await SigningKeys(
                settings, instance.store, instance.ring, instance.store.clock, secrets.token_bytes
            ).signer()

    def _token(self, signer: jose.Signer) -> str:
        now = int(time.time())
        made = AccessToken(
            issuer=self._house.id, subject=str(uuid4()), audience=(self._house.app,), client_id="app",
            scopes=("openid", "profile", "email", "photos.read", "photos.write"), issued_at=now, expires_at=now + 60,
            jti=str(uuid4()), gid=str(uuid4()), auth_time=now, csrf=to_base64url(secrets.token_bytes(16)),
        )  # fmt: skip
        return signer.sign(claims(made), TYP)


_LIST = """
    INSERT INTO ended (gid, at, until)
    SELECT gen_random_uuid(), now(), now() + make_interval(secs => $2)
    FROM generate_series(1, $1 - (SELECT count(*) FROM ended WHERE until > now())::int)
"""
