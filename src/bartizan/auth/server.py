"""What every protocol endpoint and every grant of the auth server is handed."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from bartizan.auth.keys import SigningKeys
from bartizan.auth.ports import AuthPorts
from bartizan.auth.settings import AuthSettings
from bartizan.protocol import jose
from bartizan.protocol.oauth import access, refresh
from bartizan.protocol.oauth.metadata import Paths
from bartizan.protocol.secrets import Ring, uuid7

PATHS = Paths()


class AuthServer(Struct, frozen=True, kw_only=True):
    settings: AuthSettings
    ports: AuthPorts
    keys: SigningKeys
    refresh_ring: Ring
    client_ring: Ring  # from which the BFF's secret is derived

    def new_id(self) -> UUID:
        return uuid7(int(self.ports.clock().timestamp() * 1000), self.ports.chance(10))

    async def read_access_token(self, token: str) -> access.AccessToken | None:
        """An access token of ours that holds by itself; whether it was ended is asked of the records."""
        try:
            claims = jose.verify(
                token,
                await self.keys.verifying(),
                algorithms=tuple(jose.ALGORITHMS),
                typ=access.TYP,
                issuer=self.settings.issuer,
                audience=None,
                now=int(self.ports.clock().timestamp()),
            )
        except jose.InvalidToken:
            return None
        return access.read(claims)


def build(settings: AuthSettings, ports: AuthPorts) -> AuthServer:
    return AuthServer(
        settings=settings,
        ports=ports,
        keys=SigningKeys(settings, ports.store, ports.ring, ports.clock, ports.chance),
        refresh_ring=ports.ring.purpose(refresh.PURPOSE),
        client_ring=ports.ring.purpose("client"),
    )
