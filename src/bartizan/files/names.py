"""RFC 6266, RFC 8187: the name that its owner gave a file. It is shown and suggested, never used as a path."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote, unquote_to_bytes

from bartizan.protocol.refusal import Refused

_LONGEST = 200  # bytes of UTF-8
_NEVER = frozenset('/\\:*?"<>|')


def clean(header: str | None) -> str:
    """From `X-File-Name` (percent-encoded UTF-8): the last part of any path, without what steers or disguises."""
    try:
        text = unquote_to_bytes(header or "").decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("invalid_request", "The file name is not UTF-8.", "X-File-Name") from None
    last = unicodedata.normalize("NFC", text).replace("\\", "/").rpartition("/")[2]
    # Cc, Cf: control characters and the ones that turn the writing direction (gpj.exe shown as exe.jpg).
    kept = "".join(c for c in last if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
    kept = "".join("_" if c in _NEVER else c for c in kept).strip(" .")
    short = kept.encode()[:_LONGEST].decode("utf-8", "ignore").strip(" .")
    return short or "file"


def disposition(name: str, *, inline: bool) -> str:
    """Both spellings: a plain one for old readers, and the exact one (RFC 6266 §4.3, appendix D)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    kind = "inline" if inline else "attachment"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
