"""ASVS 5.2.2: what a file is, by its content. What its sender calls it must agree, and decides nothing.

puremagic knows thousands of signatures, among them weak ones; so the kinds that we may store are told by strict rules
of our own first, and puremagic names the rest.
"""

from __future__ import annotations

import codecs
import re

import puremagic

HEAD = 16 * 1024  # bytes from the start that are looked at
UNKNOWN = "application/octet-stream"
TEXT = "text/plain"
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
    if _is_text(head, whole):
        return TEXT
    return _named(head)


def _is_text(head: bytes, whole: bool) -> bool:
    if _BINARY.search(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def _named(head: bytes) -> str:
    """puremagic's best guess, for those who allow more types. Its versions differ: tests pin what we rely on."""
    try:
        guesses = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return UNKNOWN
    return next((guess.mime_type for guess in guesses if guess.mime_type and guess.confidence >= 0.4), UNKNOWN)


def agrees(claimed: str, found: str) -> bool:
    """No claim, or exactly the type that the content has."""
    kind = claimed.partition(";")[0].strip().lower()
    return kind in ("", UNKNOWN, found)
