"""How times, names and counts are written on pages. Clock times, never countdowns; UTC says so (look: Voice)."""

from __future__ import annotations

from datetime import UTC, datetime

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day(when: datetime) -> str:
    """24 Nov 2026"""
    when = when.astimezone(UTC)
    return f"{when.day} {MONTHS[when.month - 1]} {when.year}"


def clock(when: datetime) -> str:
    """14:32 UTC"""
    return f"{when.astimezone(UTC):%H:%M} UTC"


def stamp(when: datetime) -> str:
    """2026-11-24 14:29:07 UTC"""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def ago(when: datetime, now: datetime) -> str:
    """just now · 12 minutes ago · 2 hours ago · yesterday, 23:41 UTC · 2 Sep 2026"""
    seconds = (now - when).total_seconds()
    if seconds < 90:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds // 60)} minutes ago"
    if seconds < 12 * 3600:
        hours = int(seconds // 3600)
        return f"{hours} hour{'s' if hours > 1 else ''} ago"
    return near(when, now)


def near(when: datetime, now: datetime) -> str:
    """today, 09:14 UTC · yesterday, 23:41 UTC · 2 Sep 2026"""
    days = (now.astimezone(UTC).date() - when.astimezone(UTC).date()).days
    if days == 0:
        return f"today, {clock(when)}"
    if days == 1:
        return f"yesterday, {clock(when)}"
    return day(when)


def hour(when: datetime, now: datetime) -> str:
    """For lists that say UTC once: 14:21 today, 24 Nov on other days."""
    when = when.astimezone(UTC)
    return f"{when:%H:%M}" if when.date() == now.astimezone(UTC).date() else f"{when.day} {MONTHS[when.month - 1]}"


def second(when: datetime, now: datetime) -> str:
    """14:21:06 today, 24 Nov 14:21 on other days."""
    when = when.astimezone(UTC)
    if when.date() == now.astimezone(UTC).date():
        return f"{when:%H:%M:%S}"
    return f"{when.day} {MONTHS[when.month - 1]} {when:%H:%M}"


def sentence(text: str) -> str:
    """a parameter is missing → A parameter is missing."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def initials(name: str) -> str:
    """Alice Larsen → AL; Print shop → PS; a single word gives its first two letters."""
    words = name.split()
    if not words:
        return "?"
    if len(words) == 1:
        return words[0][:2].title()
    return (words[0][0] + words[-1][0]).upper()


def short(name: str) -> str:
    """For an app's tile: Print shop → Ps, Snapshots → Sn."""
    words = name.split()
    if not words:
        return "?"
    second = words[1][0] if len(words) > 1 else words[0][1:2]
    return words[0][0].upper() + second.lower()


def count(number: int) -> str:
    """1,204"""
    return f"{number:,}"


FILTERS = {
    "day": day,
    "clock": clock,
    "stamp": stamp,
    "iso": iso,
    "ago": ago,
    "near": near,
    "hour": hour,
    "second": second,
    "sentence": sentence,
    "initials": initials,
    "short": short,
    "count": count,
}
