"""The card of a start (look, terminal-card): 80 columns, no frame, so that a URL can be selected by itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from msgspec import Struct

_TURRET = ("   /\\   ", "  /__\\  ", "  |[]|  ", "   \\/   ")


class Style(Struct, frozen=True):
    """Escape codes, or nothing: under NO_COLOR and in a pipe the same text stands without them."""

    coloured: bool

    def on(self, codes: str, text: str) -> str:
        return f"\x1b[{codes}m{text}\x1b[0m" if self.coloured and text else text

    def stone(self, text: str) -> str:
        return self.on("36", text)

    def lantern(self, text: str) -> str:
        return self.on("33", text)

    def title(self, text: str) -> str:
        return self.on("1", text)

    def link(self, text: str) -> str:
        return self.on("4;94", text)

    def dim(self, text: str) -> str:
        return self.on("2", text)


def style(stream: TextIO | None = None, environment: Mapping[str, str] | None = None) -> Style:
    stream = stream or sys.stdout
    words = os.environ if environment is None else environment
    return Style(stream.isatty() and not words.get("NO_COLOR") and words.get("TERM") != "dumb")


class Card(Struct, frozen=True, kw_only=True):
    seconds: float
    servers: int = 9
    setup: str = ""
    setup_until: str = ""
    places: tuple[tuple[str, str, str], ...] = ()  # word, URL, remark
    people: tuple[tuple[str, str, str], ...] = ()  # e-mail, password, remark
    notes: tuple[str, ...] = ()  # what needs a person, after the lantern's "!"
    data: str = "./.bartizan"
    reset: str = "bartizan reset"


def render(card: Card, look: Style) -> str:
    lines = ["", *_head(card, look), ""]
    if card.setup:
        lines += [f"  {look.title('Make yourself the administrator')} (works once, until {card.setup_until})"]
        lines += [f"  {look.link(card.setup)}", ""]
    far = max((len(url) for _, url, remark in card.places if remark), default=0)
    lines += [_place(row, far, look) for row in card.places]
    if card.people:
        lines += ["", *_people(card.people, far, look)]
    if card.notes:
        lines += ["", *(f"  {look.lantern('!')}  {note}" for note in card.notes)]
    lines += ["", f"  Stop with Ctrl-C. Start afresh with {card.reset}. Data is in {card.data}", ""]
    return "\n".join(lines)


def _head(card: Card, look: Style) -> list[str]:
    number = "Nine" if card.servers == 9 else str(card.servers)
    words = ("", look.title("Bartizan is up."), f"{number} servers, ready in {card.seconds:.1f} s.", "")
    return [f"{_stone(part, look)}  {text}".rstrip() for part, text in zip(_TURRET, words, strict=True)]


def _stone(part: str, look: Style) -> str:
    left, slit, right = part.partition("[]")
    return look.stone(left) + look.lantern(slit) + look.stone(right) if slit else look.stone(part)


def _place(row: tuple[str, str, str], far: int, look: Style) -> str:
    word, url, remark = row
    gap = " " * (far + 3 - len(url)) if remark else ""
    return f"  {word:<12} {look.link(url)}{gap}{look.dim(remark)}".rstrip()


def _people(people: tuple[tuple[str, str, str], ...], far: int, look: Style) -> list[str]:
    """Their remarks stand below those of the places, where there is room."""
    wide = max(len(email) for email, _, _ in people)
    long = max(*(len(word) for _, word, _ in people), far - wide - 3)
    lines = []
    for number, (email, word, remark) in enumerate(people):
        first = "Sign in as" if number == 0 else ""
        lines.append(f"  {first:<12} {email:<{wide}}   {word:<{long}}   {look.dim(remark)}".rstrip())
    return lines
