"""What the BFF endpoints share: what a browser brought, and the cookies that go back to it (flows §1)."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request

from bartizan.frontend.auth_client import AuthServer, Caller, Tokens
from bartizan.frontend.ports import FrontendPorts
from bartizan.frontend.seals import Held, Seals
from bartizan.frontend.settings import FrontendSettings
from bartizan.model.clients import Mode
from bartizan.protocol.refusal import Refused
from bartizan.protocol.web import cookies, csrf
from bartizan.web import caller, headers
from bartizan.web.pages import Pages

_ACCESS_LIMIT = 3 * 1024  # bytes of an access cookie (F§1); browsers drop what is over 4,090 and keep the old one


class Brought(Struct, frozen=True):
    """The cookies of one request, each of ours there at most once."""

    all: dict[str, str]
    held: Held | None  # the sealed refresh cookie, opened
    access_token: str | None


class Bff:
    def __init__(self, settings: FrontendSettings, ports: FrontendPorts, pages: Pages) -> None:
        self.settings = settings
        self.ports = ports
        self.pages = pages
        self.names = settings.cookies
        self.seals = Seals(ports.ring)
        self.auth = AuthServer(settings, ports)

    def now(self) -> int:
        return int(self.ports.clock().timestamp())

    def brought(self, request: Request) -> Brought:
        found = cookies.parse("; ".join(headers.every(request.scope, b"cookie")))
        held = self.seals.held(found.get(self.names.rt), self.names.rt)
        return Brought(found, held, found.get(self.names.at))

    def same_origin(self, request: Request, method: str | None = None) -> None:
        """The origin test (F§3). Raises Refused (403)."""
        site, origin = headers.one(request.scope, b"sec-fetch-site"), headers.one(request.scope, b"origin")
        csrf.origin_test(method or request.method, site, origin, self.settings.app_origin)

    def granted(self, held: Held, tokens: Tokens) -> list[str]:
        """The Set-Cookie values after sign-in and after each rotation."""
        if tokens.id_token:
            held = replace(held, id_token=tokens.id_token)
        held = replace(held, refresh_token=tokens.refresh_token)
        age = self.settings.refresh_seconds
        out = [self._sealed(held, age), self._readable(held.csrf, age)]
        if held.mode is Mode.COOKIE:
            if len(tokens.access_token) > _ACCESS_LIMIT:
                note = f"the access token has {len(tokens.access_token)} bytes, a cookie takes {_ACCESS_LIMIT}"
                raise Refused("server_error", "The sign-in is too large for a cookie.", note, status=500)
            out.append(cookies.set_cookie(self.names.at, tokens.access_token, max_age=tokens.expires_in))
        return out

    def _readable(self, value: str, age: int) -> str:
        return cookies.set_cookie(self.names.csrf, value, max_age=age, http_only=False, same_site="Lax")

    def _sealed(self, held: Held, age: int) -> str:
        name = self.names.rt
        try:
            return cookies.set_cookie(name, self.seals.close(held, name, self.ports.chance(12)), max_age=age)
        except ValueError:  # a person with a very long name: the hint is what can be done without
            short = replace(held, id_token="")
            return cookies.set_cookie(name, self.seals.close(short, name, self.ports.chance(12)), max_age=age)

    def gone(self, brought: Brought) -> list[str]:
        """Deletes all of ours, by name and with the attributes that each was set with."""
        out = [cookies.delete_cookie(name) for name in (self.names.at, self.names.rt, self.names.hop)]
        out.append(self._readable("", 0))
        begun = (name for name in brought.all if name.startswith(self.names.login_prefix))
        return out + [delete_login(name) for name in begun]

    async def seconds_left(self, brought: Brought) -> int:
        """How long the access cookie still opens anything: 0 when there is none, or it is not ours."""
        if not brought.access_token:
            return 0
        return await self.auth.seconds_left(brought.access_token, self.now())

    async def key_gone(self, brought: Brought) -> bool:
        """The access cookie was signed by a key that has been withdrawn since (F§7)."""
        return bool(brought.access_token) and await self.auth.key_gone(brought.access_token or "")


def delete_login(name: str) -> str:
    return cookies.delete_cookie(name, same_site="Lax")


def on_behalf_of(request: Request) -> Caller:
    return Caller(caller.address(request), caller.request_id(request), caller.user_agent(request))
