"""For tests of guarded apps: an issuer with a key of its own, and no network.

issuer = testing.Issuer()
guard = Guard(app, issuer=issuer.issuer, audience=issuer.audience, app_origin=issuer.app_origin, source=issuer)
client.get("/api/photos", headers=issuer.bearer("alice", scopes=["photos.read"]))
client.post("/api/photos", headers=issuer.browser("alice", scopes=["photos.write"]))
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from uuid import uuid4

from joserfc.jwk import ECKey

from bartizan.guard.gate import Held
from bartizan.protocol import jose
from bartizan.protocol.jose import Signer
from bartizan.protocol.refusal import Unavailable

CSRF = "test-csrf-value-0123456789"


class Issuer:
    """Hand it to a Guard as `source`. `end` ends what a token hangs on; `away = True` plays an unseen feed."""

    def __init__(
        self,
        *,
        issuer: str = "http://id.localhost:8080",
        audience: str = "http://app.localhost:8080",
        app_origin: str = "http://app.localhost:8080",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self.audience = audience
        self.app_origin = app_origin
        self.away = False
        self._clock = clock
        self._ended: set[str] = set()
        self.private_jwk = {
            name: str(value) for name, value in ECKey.generate_key("P-256").as_dict(private=True).items()
        }
        self._signer = Signer(self.private_jwk, "test", "ES256")
        self.jwks = {"keys": [jose.public_part(self.private_jwk) | {"kid": "test", "alg": "ES256", "use": "sig"}]}
        self._keys = jose.key_set(self.jwks)

    @property
    def started(self) -> bool:
        return True

    def current(self) -> Held:
        if self.away:
            raise Unavailable("the list of ended sessions")
        return Held(self._keys, self._ended)

    def refetched(self) -> Held | None:
        return None

    def end(self, gid: str) -> None:
        self._ended.add(gid)

    def token(
        self,
        sub: str,
        *,
        scopes: Iterable[str] = (),
        csrf: str | None = None,
        gid: str | None = None,
        client_id: str = "test-client",
        lifetime: int = 300,
        typ: str = "at+jwt",
        **claims: object,
    ) -> str:
        """A signed access token; more claims by name, which also replace ours."""
        now = int(self._clock())
        ours: dict[str, object] = {
            "iss": self.issuer,
            "sub": sub,
            "aud": [self.audience],
            "client_id": client_id,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + lifetime,
            "jti": str(uuid4()),
            "gid": gid or str(uuid4()),
            "auth_time": now,
        }
        if csrf is not None:
            ours["csrf"] = csrf
        return self._signer.sign(ours | claims, typ)

    def bearer(
        self, sub: str, *, scopes: Iterable[str] = (), csrf: str | None = None, gid: str | None = None
    ) -> dict[str, str]:
        """Headers of a call by this person. With `csrf` it is a cookie token, as the gateway would hand it on."""
        return {"Authorization": f"Bearer {self.token(sub, scopes=scopes, csrf=csrf, gid=gid)}"}

    def browser(self, sub: str, *, scopes: Iterable[str] = (), gid: str | None = None) -> dict[str, str]:
        """Headers of a call by our own page's script: a cookie token, its CSRF value, and the browser's own word."""
        headers = self.bearer(sub, scopes=scopes, csrf=CSRF, gid=gid)
        return headers | {"X-CSRF-Token": CSRF, "Sec-Fetch-Site": "same-origin", "Origin": self.app_origin}

    def feed(self, *, cursor: int = 1, iat: int | None = None, kids: list[str] | None = None) -> str:
        """What `/.well-known/bartizan/ended` answers."""
        now = int(self._clock()) if iat is None else iat
        claims: dict[str, object] = {"iss": self.issuer, "iat": now, "cursor": cursor, "gids": sorted(self._ended)}
        return self._signer.sign(claims if kids is None else claims | {"kids": kids}, "ended+jwt")
