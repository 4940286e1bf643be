"""The card of a start, against the look's terminal-card: 80 columns, plain in a pipe, colours where it says."""

from __future__ import annotations

import io

from bartizan.stack.card import Card, Style, render, style

CARD = Card(
    seconds=1.13,
    setup="http://id.localhost:8080/setup/9fK2-tQx7",
    setup_until="14:59",
    places=(
        ("App", "http://app.localhost:8080", "Snapshots, the demo"),
        ("Console", "http://id.localhost:8080/admin", ""),
        ("Dev inbox", "http://id.localhost:8080/dev/inbox", "all mail stops here"),
        ("Print shop", "http://print.localhost:8080", "a third party"),
        ("Metrics", "http://127.0.0.1:9464/metrics", ""),
    ),
    people=(
        ("alice", "quiet-otter-maps-rain", "or make a passkey"),
        ("bob", "plain-birch-seven-cups", "then a code from the inbox"),
        ("carol", "grey-stone-after-tea", "locked, to see that page"),
    ),
    notes=("Safari needs https for this: bartizan up --demo --https",),
)
MOCK = r"""
   /\
  /__\    Bartizan is up.
  |[]|    Nine servers, ready in 1.1 s.
   \/

  Make yourself the administrator (works once, until 14:59)
  http://id.localhost:8080/setup/9fK2-tQx7

  App          http://app.localhost:8080            Snapshots, the demo
  Console      http://id.localhost:8080/admin
  Dev inbox    http://id.localhost:8080/dev/inbox   all mail stops here
  Print shop   http://print.localhost:8080          a third party
  Metrics      http://127.0.0.1:9464/metrics

  Sign in as   alice   quiet-otter-maps-rain        or make a passkey
               bob     plain-birch-seven-cups       then a code from the inbox
               carol   grey-stone-after-tea         locked, to see that page

  !  Safari needs https for this: bartizan up --demo --https

  Stop with Ctrl-C. Start afresh with bartizan reset. Data is in ./.bartizan
"""


def test_it_is_the_mock() -> None:
    assert render(CARD, Style(False)) == MOCK


def test_every_line_fits_80_columns() -> None:
    assert max(map(len, render(CARD, Style(False)).splitlines())) <= 80


def test_colours_where_the_look_says_and_a_url_stays_whole() -> None:
    text = render(CARD, Style(True))
    assert "\x1b[33m[]\x1b[0m" in text, "the slit is a lantern"
    assert "\x1b[36m" in text
    assert "\x1b[1mBartizan is up.\x1b[0m" in text
    assert "\x1b[4;94mhttp://app.localhost:8080\x1b[0m" in text
    assert "\x1b[33m!\x1b[0m" in text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_no_color_and_a_dumb_terminal_are_plain() -> None:
    assert style(Terminal(), {}).coloured
    assert not style(io.StringIO(), {}).coloured
    assert not style(Terminal(), {"NO_COLOR": "1"}).coloured
    assert not style(Terminal(), {"TERM": "dumb"}).coloured


def test_without_a_link_or_people_nothing_is_left_over() -> None:
    text = render(Card(seconds=2.0, places=CARD.places), Style(False))
    assert "administrator" not in text
    assert "Sign in as" not in text
    assert "\n\n\n" not in text
