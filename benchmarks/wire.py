"""HTTP/1.1 as the load generator speaks it: requests as bytes, answers by `content-length`, and nothing else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote_plus, urlencode

from msgspec import Struct

FORM = "application/x-www-form-urlencoded"
_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length: "


class Answer(Struct, frozen=True):
    status: int
    head: bytes
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The first of this name; `name` in lower case, as our servers and Envoy write them."""
        at = self.head.find(b"\r\n" + name + b": ")
        if at < 0:
            return None
        begin = at + len(name) + 4
        end = self.head.find(b"\r\n", begin)
        return self.head[begin:] if end < 0 else self.head[begin:end]

    def cookies(self) -> dict[str, str]:
        """What its Set-Cookie headers set, without attributes."""
        found: dict[str, str] = {}
        for line in self.head.split(b"\r\n"):
            if line[:12].lower() == b"set-cookie: ":
                name, _, value = line[12:].partition(b";")[0].decode("latin-1").partition("=")
                found[name] = value
        return found

    def text(self, name: bytes) -> bytes | None:
        """A string member of a flat JSON body that holds no escapes: tokens are found without decoding the rest."""
        at = self.body.find(b'"' + name + b'":"')
        if at < 0:
            return None
        begin = at + len(name) + 4
        return self.body[begin : self.body.index(b'"', begin)]


class Unreadable(Exception):  # noqa: N818 - the answer is not of the shape that this generator reads
    pass


def read(buffer: bytes) -> tuple[Answer, int] | None:
    """The first whole answer and how long it was, or None while bytes are missing."""
    end = buffer.find(_END)
    if end < 0:
        return None
    head, begin = buffer[:end], end + len(_END)
    status = int(head[9:12])
    length = _length(head, status)
    if len(buffer) < begin + length:
        return None
    return Answer(status, head, buffer[begin : begin + length]), begin + length


def _length(head: bytes, status: int) -> int:
    at = head.find(_LENGTH)
    if at < 0:
        if status in (204, 304) or b"\r\ntransfer-encoding:" not in head.lower():
            return 0
        raise Unreadable(head[:200].decode("latin-1"))
    begin = at + len(_LENGTH)
    end = head.find(b"\r\n", begin)
    return int(head[begin:] if end < 0 else head[begin:end])


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body or method == "POST":
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + _END + body


def form(fields: Mapping[str, str]) -> bytes:
    return urlencode(fields).encode("ascii")


def basic(name: str, secret: str) -> str:
    """OAuth 2.1 §2.4.1: each form-encoded, then joined."""
    return "Basic " + b64encode(f"{quote_plus(name)}:{quote_plus(secret)}".encode()).decode("ascii")
