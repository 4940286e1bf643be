"""ASVS 5.2.2: what a file is, by its content. What its sender calls it must agree, and decides nothing.

puremagic knows thousands of signatures, among them weak ones; so the kinds that we may store are told by strict rules
of our own first, and puremagic names the rest.
"""

from __future__ import annotations

import codecs
import re
from functools import cache
from mimetypes import MimeTypes
from pathlib import PurePosixPath

HEAD = 16 * 1024  # bytes from the start that are looked at
UNKNOWN = "application/octet-stream"
TEXT = "text/plain"
THUMB = "image/webp"  # what `pictures.thumbnail` writes
IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

_SIGNATURES: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"%PDF-[12]\."), "application/pdf"),
    (re.compile(rb"PK(\x03\x04|\x05\x06|\x07\x08)"), "application/zip"),
)
# A browser that were allowed to guess would take these for pages (WHATWG MIME Sniffing §7.1), so they are no text.
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?[\t\n\x0c\r ]*<(?:!doctype|!--|\?xml|[a-z])", re.IGNORECASE)
_SVG = re.compile(rb"<svg[\s>/]", re.IGNORECASE)
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


def of(head: bytes, *, whole: bool) -> str:
    """`whole`: `head` is all there is, so its last character may not be cut in the middle."""
    for signature, kind in _SIGNATURES:
        if signature.match(head):
            return kind
    if _MARKUP.match(head):
        return "image/svg+xml" if _SVG.search(head) else "text/html"
    if Text().goes_on(head, last=whole):
        return TEXT
    return _named(head)


class Text:
    """UTF-8 without control characters, told piece by piece."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def goes_on(self, piece: bytes, *, last: bool = False) -> bool:
        try:
            self._decoder.decode(piece, final=last)
        except UnicodeDecodeError:
            return False
        return not _BINARY.search(piece)

    def ends(self) -> bool:
        return self.goes_on(b"", last=True)


def _named(head: bytes) -> str:
    """puremagic's best guess, for those who allow more types. Its versions differ: tests pin what we rely on."""
    import puremagic  # its table is read at import, and most uploads never need it

    try:
        guesses = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return UNKNOWN
    return next((guess.mime_type for guess in guesses if guess.mime_type and guess.confidence >= 0.4), UNKNOWN)


# What such a file may be called. The first is added to any other name when the file is saved, so that a text called
# `letter.hta` arrives as `letter.hta.txt` and a double click shows it instead of running it.
_ENDINGS: dict[str, tuple[str, ...]] = {
    "image/jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "image/png": (".png",),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "application/pdf": (".pdf",),
    TEXT: (".txt", ".text", ".log", ".md"),
}


def named_so(name: str, found: str) -> bool:
    """ASVS 5.2.2: the name does not say that it is something else. Endings that nobody knows say nothing."""
    said = _known_endings().get(_ending(name))
    return said is None or said == found or _ending(name) in _ENDINGS.get(found, ())


def saved_as(name: str, kind: str) -> str:
    endings = _ENDINGS.get(kind, ())
    return name if not endings or _ending(name) in endings else name + endings[0]


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


@cache
def _known_endings() -> dict[str, str]:
    """Python's own table, not the machine's: the answer is the same everywhere."""
    common, standard = MimeTypes().types_map
    return {**common, **standard}


def agrees(claimed: str, found: str) -> bool:
    """No claim, or exactly the type that the content has."""
    kind = claimed.partition(";")[0].strip().lower()
    return kind in ("", UNKNOWN, found)
