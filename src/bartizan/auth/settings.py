"""What the auth server needs to know (§2: each server owns its settings; only `stack` fills them in)."""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct, field

from bartizan.protocol.web import cookies

_DAY = 86_400


class ScopeText(Struct, frozen=True):
    """What the consent page says that a scope lets an app do, and what it does not."""

    can: str  # "see your photos"
    cannot: str = ""  # said when the scope is *not* asked for: "change or delete photos"


class AuthSettings(Struct, frozen=True, kw_only=True, dict=True):
    issuer: str  # the id origin exactly, no trailing slash
    app_origin: str
    files_origin: str
    site_name: str = "Bartizan"
    scopes: dict[str, ScopeText] = field(default_factory=dict)  # the API's own; OIDC's are built in

    access_token_lifetime: int = 300  # seconds; the BFF's are drawn from its upper fifth at each mint (F§6)
    refresh_idle: int = 14 * _DAY
    refresh_absolute: int = 90 * _DAY
    session_idle: int = 14 * _DAY
    session_absolute: int = 90 * _DAY

    signing_algorithm: str = "ES256"
    key_rotation_seconds: int = 90 * _DAY
    key_publish_ahead_seconds: int = 900  # a new key is published this long before it signs

    mail_from: str = "no-reply@localhost"
    open_sign_up: bool = True
    dev_inbox: bool = False  # the pages may then point at /dev/inbox

    @cached_property
    def cookies(self) -> cookies.CookieNames:
        """Names carry the port on `*.localhost`, because cookies ignore ports (F§1)."""
        return cookies.names(self.app_origin)
