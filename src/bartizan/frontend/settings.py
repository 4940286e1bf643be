"""What the frontend server needs to know (design §1 row 3): the BFF's client, both origins, and the SPA it serves."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from msgspec import Struct, field

from bartizan.model.clients import Mode
from bartizan.protocol.web import cookies


class FrontendSettings(Struct, frozen=True, kw_only=True, dict=True):
    app_origin: str  # "http://app.localhost:8080", no trailing slash
    id_origin: str  # the issuer, exactly
    files_origin: str = ""  # "" when the files server is off
    auth_address: str  # "unix:/…/auth.sock" or "https://id.example.com": where the id origin is reached

    client_id: str  # the BFF's own client, kind "browser"; its secret is derived from the ring
    mode: Mode = Mode.COOKIE
    scopes: tuple[str, ...] = ("openid", "profile", "email")  # what sign-in asks for, with the API's own scopes
    site_name: str = "Bartizan"  # named on the few pages of our own

    spa_dir: Path | None = None  # None: the gateway sends "/" elsewhere (to an app or a development server)
    csp: dict[str, tuple[str, ...]] = field(default_factory=dict)  # sources added for the SPA, by directive

    login_seconds: int = 600  # one sign-in under way may take this long (F§1)
    refresh_seconds: int = 90 * 86_400  # cookie age of the refresh cookie; the family's own times decide
    auth_timeout: float = 10.0  # seconds until a silent auth server counts as away

    @property
    def redirect_uri(self) -> str:
        return f"{self.app_origin}/bff/callback"

    @property
    def signed_out_uri(self) -> str:
        """Where `id` sends the browser after signing out (a `post_logout_redirect_uri` of the client)."""
        return f"{self.app_origin}/"

    @cached_property
    def cookies(self) -> cookies.CookieNames:
        return cookies.names(self.app_origin)
