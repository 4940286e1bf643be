"""One-time links in mails. Their secret is derived, MAC(kind, id), so none is at rest (model/codes.py: Link)."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from bartizan.auth.ports import Chance
from bartizan.model.codes import Link
from bartizan.protocol.secrets import Ring, from_base64url, mac, to_base64url, uuid7
from bartizan.protocol.web import csrf

PATHS = {
    "verify": "/verify/",
    "reset": "/reset/",
    "email": "/account/email/",
    "setup": "/setup/",
}
_ID_BYTES = 16
_MAC_BYTES = 16  # 128 bits, and a guess costs a request


def new(
    kind: str, user_id: UUID | None, detail: dict[str, str], *, now: datetime, minutes: int, chance: Chance
) -> Link:
    """The row; it counts once it is added to `links`."""
    return Link(
        id=uuid7(int(now.timestamp() * 1000), chance(10)),
        kind=kind,
        user_id=user_id,
        detail=detail,
        created_at=now,
        expires_at=now + timedelta(minutes=minutes),
    )


def address(issuer: str, ring: Ring, link: Link) -> str:
    """What the mail or the card says. `ring` is the key ring's purpose "link"."""
    return issuer + PATHS[link.kind] + token(ring.newest[1], link.kind, link.id)


def token(key: bytes, kind: str, link_id: UUID) -> str:
    """43 characters, so that a link stands on one line of a terminal and of a mail."""
    return to_base64url(link_id.bytes + mac(key, b"link", kind.encode(), link_id.bytes)[:_MAC_BYTES])


def read(ring: Ring, kind: str, text: str) -> UUID | None:
    """The id of a link that we made for this purpose, or None. Whether it lives, the row says."""
    try:
        raw = from_base64url(text)
    except ValueError:
        return None
    if len(raw) != _ID_BYTES + _MAC_BYTES:
        return None
    link_id = UUID(bytes=raw[:_ID_BYTES])
    genuine = any(csrf.matches(text, token(key, kind, link_id)) for _, key in ring.all)
    return link_id if genuine else None
