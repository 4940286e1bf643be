"""RFC 6454, flows §4: origins compared exactly, and the path that a redirect may go back to."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from bartizan.protocol.refusal import Refused

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*", re.ASCII)
_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)
_RETURN_LIMIT = 8 * 1024


class Origin(Struct, frozen=True):
    """Scheme, host and port. Two origins are the same when these three are; `str` gives the browser's spelling."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        if self.port == _DEFAULT_PORTS.get(self.scheme):
            return f"{self.scheme}://{self.host}"
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def https(self) -> bool:
        return self.scheme == "https"

    @property
    def local(self) -> bool:
        """Names and addresses of this machine (RFC 6761 §6.3), where plain http is a safe context."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        literal = self.host.strip("[]")
        return _is_address(literal) and ip_address(literal).is_loopback


def parse(text: str) -> Origin:
    """`scheme://host[:port]` in lower case, with no path, or ValueError. `*`, `null` and wildcards are no origins."""
    if not _PRINTABLE.fullmatch(text):
        raise ValueError(f"{text!r} is no origin")
    parts = urlsplit(text)
    scheme, host = parts.scheme, parts.hostname or ""
    if scheme not in _DEFAULT_PORTS or text != text.lower() or text != f"{scheme}://{parts.netloc}":
        raise ValueError(f"{text!r} is no origin: write https://host, without a path or a slash at the end")
    if ":" in host:
        host = f"[{ip_address(host)}]"
    elif not _HOST.fullmatch(host):
        raise ValueError(f"{text!r} is no origin: {host!r} is no host name")
    port = parts.port  # raises ValueError above 65535
    origin = Origin(scheme, host, _DEFAULT_PORTS[scheme] if port is None else port)
    if text not in (str(origin), f"{scheme}://{host}:{origin.port}") or origin.port == 0:
        raise ValueError(f"{text!r} is no origin")
    return origin


def same_site(first: Origin, second: Origin) -> bool:
    """Scheme and the last two labels of the host agree; `*.localhost` and addresses are sites of their own.

    Without the public suffix list this is a guess (two tenants of `co.uk` look like one site): good for a hint to the
    operator, never for a decision.
    """
    return first.scheme == second.scheme and _site(first.host) == _site(second.host)


def _site(host: str) -> str:
    return host if _is_address(host.strip("[]")) else ".".join(host.split(".")[-2:])


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def return_to(raw: str) -> str:
    """The path to go back to, unchanged, when it surely stays on this origin; else Refused.

    It must begin with exactly one `/`, also after a browser, a proxy or a second redirect has decoded it and taken
    out `.` and `..`; a backslash is a slash to browsers, and they drop tabs and line ends before they parse.
    """
    if len(raw) <= _RETURN_LIMIT and _PRINTABLE.fullmatch(raw) and _stays(raw):
        once = unquote(raw, errors="replace")
        if _stays(once) and _stays(unquote(once, errors="replace")):
            return raw
    raise Refused("invalid_request", "return_to is not a path of this site", f"return_to {raw[:200]!r}")


def _stays(text: str) -> bool:
    path = text.partition("?")[0].partition("#")[0]
    if any(character < " " or character in "\\\x7f" for character in path):
        return False
    return path.startswith("/") and not path.startswith("//") and not _without_dots(path).startswith("//")


def _without_dots(path: str) -> str:
    """RFC 3986 §5.2.4 for a path that begins with a slash. One that ends with dots ends with a slash then."""
    kept: list[str] = []
    segments = path[1:].split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
