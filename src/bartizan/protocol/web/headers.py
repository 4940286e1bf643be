"""Security headers of every answer (OWASP Secure Headers, Fetch, HTML standard).

`Referrer-Policy: no-referrer` is not among the choices: a same-origin form then posts `Origin: null` (flows §3).
"""

from __future__ import annotations

from typing import Literal

Headers = tuple[tuple[str, str], ...]
ReferrerPolicy = Literal["same-origin", "strict-origin-when-cross-origin"]
ResourcePolicy = Literal["same-origin", "same-site", "cross-origin"]

_PERMISSIONS = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "browsing-topics",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "hid",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "serial",
        "usb",
    )
)
_HSTS = "max-age=31536000"  # the name itself: other names below it may not be ours to decide


def security_headers(
    *,
    https: bool,
    csp: str,
    referrer: ReferrerPolicy = "same-origin",
    resource: ResourcePolicy = "same-origin",
    permissions: str = _PERMISSIONS,
) -> Headers:
    """The set. Framing is forbidden by the `frame-ancestors` of `csp`; browsers read HSTS over https only."""
    always = (
        ("Content-Security-Policy", csp),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", referrer),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", resource),
        ("Permissions-Policy", permissions),
        ("Origin-Agent-Cluster", "?1"),
    )
    return (*always, ("Strict-Transport-Security", _HSTS)) if https else always


NO_STORE: Headers = (("Cache-Control", "no-store"),)
