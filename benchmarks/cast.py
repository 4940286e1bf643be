"""Who the benchmark's people, clients, sessions and families are: all follow from a number, so none is remembered."""

from __future__ import annotations

import hmac
import random
from uuid import UUID

from msgspec import Struct

from bartizan.protocol.oauth import refresh
from bartizan.protocol.secrets import Ring, to_base64url

_BORN_MS = 1_767_225_600_000  # 1 January 2026; one a millisecond after that
USER, SESSION, FAMILY, _BROWSER = 1, 2, 3, 4

APP = "bench-app"  # the BFF's own client, which the file names
BROWSERS = 400  # families of the BFF's, each on the session of the family of the same number
MOST_SESSIONS = 200_000  # where there are more families, several hang on one, as when a person uses many apps
API = ("photos.read",)
OPENID = ("openid", "profile", "email", "photos.read")
REDIRECT = "http://127.0.0.1:9/callback"
PASSWORD = "seven brown herons wade"  # of every seeded person: a hash for each would take an hour


class Cast(Struct, frozen=True, kw_only=True):
    """Family n hangs on session n (mod sessions), whose person is n mod users, at one of the clients; odd ones were
    granted `openid`."""

    users: int
    clients: int
    families: int
    seed: bytes

    def user_id(self, number: int) -> UUID:
        return _id(USER, number)

    def session_id(self, number: int) -> UUID:
        return _id(SESSION, number)

    def family_id(self, number: int) -> UUID:
        return _id(FAMILY, number)

    def browser_id(self, number: int) -> UUID:
        """The BFF's family n: on session n too, as when a person opens an app of ours beside another one."""
        return _id(_BROWSER, number)

    @property
    def browsers(self) -> int:
        return min(BROWSERS, self.families)

    @property
    def sessions(self) -> int:
        return min(self.families, MOST_SESSIONS)

    def session_of(self, family: int) -> int:
        return family % self.sessions

    def csrf(self, number: int) -> str:
        return self._secret("csrf", number)[:22]

    def user_of(self, family: int) -> int:
        return self.session_of(family) % self.users

    def client_of(self, family: int) -> int:
        """Spread, but not in the order of the people: 7919 is prime to every round number."""
        return family * 7919 % self.clients

    def is_old(self, session: int) -> bool:
        return session < self.sessions // 2

    def client_id(self, number: int) -> str:
        return f"bench-{number:05d}"

    def client_secret(self, number: int) -> str:
        return "bzs_" + self._secret("client", number)

    def session_secret(self, number: int) -> str:
        return "bzo_" + self._secret("session", number)

    def email(self, number: int) -> str:
        return f"person{number}@bench.example"

    def scopes(self, family: int) -> tuple[str, ...]:
        return OPENID if family % 2 else API

    def _secret(self, kind: str, number: int) -> str:
        return to_base64url(hmac.digest(self.seed, f"{kind} {number}".encode(), "sha256"))


class Deck:
    """Families drawn at random, each with the generation it is at. Whoever rotates one says so here."""

    def __init__(self, cast: Cast, ring: Ring, epoch: int, dice: random.Random) -> None:
        self._cast = cast
        self._ring = ring
        self._epoch = epoch
        self._dice = dice
        self._generation: dict[int, int] = {}
        self._held: tuple[set[int], set[int]] = set(), set()  # the even, of the API, and the odd, of OpenID
        self._browsers = list(range(cast.browsers))
        dice.shuffle(self._browsers)

    @property
    def key_id(self) -> str:
        return self._ring.newest[0]

    def over(self, cast: Cast) -> Deck:
        """Another one, of families that nobody has rotated."""
        return Deck(cast, self._ring, self._epoch, self._dice)

    def draw(self, *, openid: bool = False) -> int:
        """One that nobody else holds."""
        held = self._held[openid]
        while len(held) < (self._cast.families + 1 - openid) // 2:
            number = self._dice.randrange(self._cast.families) // 2 * 2 + openid
            if number < self._cast.families and number not in held:
                held.add(number)
                return number
        raise RuntimeError("no family is left: --families must be more")

    def put_back(self, number: int) -> None:
        self._held[number % 2].discard(number)

    def generation(self, number: int) -> int:
        return self._generation.get(number, 1)

    def rotated(self, number: int) -> None:
        self._generation[number] = self.generation(number) + 1

    def token(self, number: int) -> str:
        """What its client holds now, made with the instance's own key."""
        return self._encoded(self._cast.family_id(number), self.generation(number))

    def draw_browser(self) -> int:
        """A family of the BFF's that no row has had: it is at its first generation."""
        if not self._browsers:
            raise RuntimeError("no browser is left: all families of the BFF's have been used")
        return self._browsers.pop()

    def browser_token(self, number: int) -> str:
        return self._encoded(self._cast.browser_id(number), 1)

    def _encoded(self, family: UUID, generation: int) -> str:
        made = refresh.encode(self._ring, refresh.RefreshToken(self._ring.newest[0], self._epoch, family, generation))
        assert made is not None, "the newest key is in the ring"
        return made


def _id(kind: int, number: int) -> UUID:
    """RFC 9562 §5.7 in shape: time first, so that inserts go to the end of an index as the product's do."""
    return UUID(int=(_BORN_MS + number) << 80 | 7 << 76 | kind << 64 | 2 << 62 | number)


def sql_id(kind: int, number: str) -> str:
    """The same by PostgreSQL; `number`: an expression."""
    return f"(lpad(to_hex({_BORN_MS} + {number}), 12, '0') || '7{kind:03x}8' || lpad(to_hex({number}), 15, '0'))::uuid"
