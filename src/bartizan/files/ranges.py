"""RFC 9110 §14: one range of bytes. Several at once are answered with the whole, which the RFC allows. Pure."""

from __future__ import annotations

import re

from bartizan.protocol.refusal import Refused

_ONE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)


def one(header: str | None, size: int) -> tuple[int, int] | None:
    """(first, last), both included; None: send it all. Refused (416) when no byte of the file is asked for."""
    found = _ONE.fullmatch((header or "").strip())
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:  # the last so many
        length = min(int(last), size)
        if length == 0:
            raise _unsatisfiable(size)
        return size - length, size - 1
    begin, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < begin:
        return None  # §14.1.1: an invalid range is as if it were not there
    if begin >= size:
        raise _unsatisfiable(size)
    return begin, end


def _unsatisfiable(size: int) -> Refused:
    return Refused("range", "The file has no such bytes.", status=416, headers=(("Content-Range", f"bytes */{size}"),))
