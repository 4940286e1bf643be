"""Refusals: what the rules say no with.

`tell` goes out and is the same for every cause of one code; `note` stays in the log, with the request id.
A refusal is expected. Anything that is not one of these three is a defect: 500, request id, no text.
It lies on floor 0, not in `model`, because the rules themselves refuse.
"""

from __future__ import annotations

from uuid import UUID


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """An expected no. `code` is the field's standard error code (RFC 6749 §5.2, RFC 6750 §3.1, …)."""

    def __init__(
        self, code: str, tell: str, note: str = "", *, status: int = 400, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(f"{code}: {note or tell}")
        self.code = code
        self.tell = tell
        self.note = note or tell
        self.status = status
        self.headers = headers  # that its answer needs, as WWW-Authenticate


class Replayed(Exception):  # noqa: N818
    """A single-use value came back: `family` (a gid) has been ended, and that is committed. One catcher."""

    def __init__(self, family: UUID, note: str) -> None:
        super().__init__(f"replayed: {note}")
        self.family = family
        self.note = note


class Unavailable(Exception):  # noqa: N818
    """A dependency is down: 503 with `Retry-After` (seconds), never a pass."""

    def __init__(self, what: str, retry_after: int = 2) -> None:
        super().__init__(f"{what} is not available")
        self.what = what
        self.retry_after = retry_after
