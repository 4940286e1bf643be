"""The single mint: every token of ours is made here, after the commit that earned it (§2, decision 0012).

Times are the database's (F§7): of the statement that redeemed or rotated, or as `database/clock.py` counts on.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from bartizan.auth.ports import Chance
from bartizan.auth.server import AuthServer
from bartizan.auth.settings import AuthSettings
from bartizan.model.families import Family
from bartizan.model.users import User
from bartizan.protocol import jose
from bartizan.protocol.oauth import access, refresh, scopes
from bartizan.protocol.oauth.responses import Issue
from bartizan.protocol.oidc import id_token
from bartizan.protocol.oidc.claims import Person, of_person
from bartizan.protocol.secrets import Ring, uuid7_text

_DRAWN = 0.2  # the share of the lifetime from which the BFF's is drawn


class First(Struct, frozen=True):
    """What makes the answer to a sign-in: its ID token. A refresh gives none (OIDC Core §12.2 leaves it open): it
    would say nothing new, and cost a second signature."""

    nonce: str | None
    user: User
    sid: str


class Mint(Struct, frozen=True, kw_only=True):
    """Made before anything is redeemed or rotated: if the keys cannot be read, nothing is spent."""

    settings: AuthSettings
    signer: jose.Signer
    ring: Ring
    epoch: int
    chance: Chance

    def for_family(
        self,
        family: Family,
        now: datetime,
        *,
        granted: tuple[str, ...],
        audience: tuple[str, ...],
        refreshing: bool,
        first: First | None = None,
    ) -> Issue | None:
        """Tokens of a person's grant. None when the family's refresh token cannot be said: its key was withdrawn."""
        refresh_token = None
        if refreshing:
            refresh_token = refresh.encode(
                self.ring, refresh.RefreshToken(family.key_id, self.epoch, family.id, family.generation)
            )
            if refresh_token is None:
                return None
        issued_at = int(now.timestamp())
        expires_at = issued_at + self._lifetime(drawn=family.bff)
        token = access.AccessToken(
            issuer=self.settings.issuer,
            subject=str(family.user_id),
            audience=audience,
            client_id=family.client_id,
            scopes=granted,
            issued_at=issued_at,
            expires_at=expires_at,
            jti=self._jti(now),
            gid=str(family.id),
            auth_time=int(family.auth_time.timestamp()),
            csrf=family.csrf,
        )
        return Issue(
            access_token=self.signer.sign(access.claims(token), access.TYP),
            expires_in=expires_at - issued_at,
            scopes=granted,
            refresh_token=refresh_token,
            id_token=self._id_token(family, granted, (issued_at, expires_at), first),
        )

    def for_client(
        self, client_id: str, now: datetime, *, granted: tuple[str, ...], audience: tuple[str, ...]
    ) -> Issue:
        """§4.2: the client for itself. Nothing can end it but its own `jti`."""
        issued_at = int(now.timestamp())
        jti = self._jti(now)
        token = access.AccessToken(
            issuer=self.settings.issuer,
            subject=client_id,
            audience=audience,
            client_id=client_id,
            scopes=granted,
            issued_at=issued_at,
            expires_at=issued_at + self.settings.access_token_lifetime,
            jti=jti,
            gid=jti,
        )
        return Issue(
            access_token=self.signer.sign(access.claims(token), access.TYP),
            expires_in=self.settings.access_token_lifetime,
            scopes=granted,
        )

    def _lifetime(self, *, drawn: bool) -> int:
        """F§6: the BFF's differ from mint to mint, so that a thief cannot know the victim's next time."""
        longest = self.settings.access_token_lifetime
        if not drawn:
            return longest
        shortest = longest - int(longest * _DRAWN)
        return shortest + int.from_bytes(self.chance(4)) % (longest - shortest + 1)

    def _jti(self, now: datetime) -> str:
        return uuid7_text(int(now.timestamp() * 1000), self.chance(10))

    def _id_token(
        self, family: Family, granted: tuple[str, ...], times: tuple[int, int], first: First | None
    ) -> str | None:
        if first is None or scopes.OPENID not in granted:
            return None
        issued_at, expires_at = times
        token = id_token.IdToken(
            issuer=self.settings.issuer,
            subject=str(family.user_id),
            client_id=family.client_id,
            issued_at=issued_at,
            expires_at=expires_at,
            auth_time=int(family.auth_time.timestamp()),
            nonce=first.nonce,
            sid=first.sid,
            personal=of_person(person(first.user), granted),
        )
        return self.signer.sign(id_token.claims(token), id_token.TYP)


def person(user: User) -> Person:
    return Person(name=user.name, email=user.email, email_verified=user.email_verified)


async def mint(server: AuthServer) -> Mint:
    return Mint(
        settings=server.settings,
        signer=await server.keys.signer(),
        ring=server.refresh_ring,
        epoch=await server.ports.store.epoch(),
        chance=server.ports.chance,
    )
