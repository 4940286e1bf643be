"""Design §4: addresses never at rest. What may be kept: the network, a keyed hash for a day, the kind of device."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from bartizan.protocol.secrets import mac

UNKNOWN = "unknown"
_FIRST_24 = 0xFFFFFF00


def mask(address: str) -> str:
    """`203.0.113.7` → `203.0.113.0/24`, IPv6 → /48. What is no address becomes `unknown`, never itself."""
    match _address(address):
        case IPv4Address() as v4:
            return f"{IPv4Address(int(v4) & _FIRST_24)}/24"
        case IPv6Address() as v6:
            return str(IPv6Network((int(v6), 48), strict=False))
    return UNKNOWN


def counted(address: str) -> str:
    """Whom a limit counts: one IPv4 address, or an IPv6 /64, of which one subscriber has 2⁶⁴ addresses (G13).

    For counting in memory only: it is not masked enough to be kept.
    """
    match _address(address):
        case IPv4Address() as v4:
            return str(v4)
        case IPv6Address() as v6:
            return str(IPv6Network((int(v6), 64), strict=False))
    return UNKNOWN


def address_hash(key: bytes, address: str) -> bytes:
    """HMAC under the key of the day, which is destroyed: a fixed salt could be undone by trying all 2³² addresses."""
    parsed = _address(address)
    return mac(key, b"address", UNKNOWN.encode() if parsed is None else parsed.packed)


@lru_cache(maxsize=8)  # a request asks several times for its own; so few are forgotten with the next requests
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


# First match wins: nearly every browser also claims to be Safari or Chrome, and Android claims to be Linux.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def device(user_agent: str | None) -> str:
    """`Firefox on Linux`: two words from fixed lists, so the full string, which can tell people apart, is not kept."""
    text = (user_agent or "")[:1024]
    browser = next((name for mark, name in _BROWSERS if mark in text), "")
    system = next((name for mark, name in _SYSTEMS if mark in text), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or "Unknown device"
