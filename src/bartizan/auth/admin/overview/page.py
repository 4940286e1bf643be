"""Overview: first the state of the house in a sentence, then what needs you, the nine as a wall, figures, sign-ins."""

from __future__ import annotations

from msgspec import Struct
from starlette.responses import Response

from bartizan.auth.admin import console
from bartizan.auth.admin.chart import HOURS, Chart, chart
from bartizan.auth.door import Visit
from bartizan.model.health import Overview, ServerHealth

# Each stone rests on what it needs: (server, name on the page, icon, place in the wall).
WALL = (
    ("gateway", "Gateway", "gate", "g"),
    ("auth", "Auth", "key", "c4"),
    ("frontend", "Frontend", "window", "c4"),
    ("resource", "Your app", "box", "c4"),
    ("files", "Files", "page", "c4"),
    ("worker", "Worker", "gear", "c3"),
    ("database", "Database", "disk", "c3"),
    ("cache", "Cache", "bolt", "c3"),
    ("monitoring", "Monitoring", "pulse", "m"),
)
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Stone(Struct, frozen=True):
    id: str
    name: str
    icon: str
    place: str
    detail: str
    figures: tuple[tuple[str, str], ...]
    word: str  # state as a word; "" when well
    css: str  # "" | "warn" | "bad"
    trouble: str


class Figure(Struct, frozen=True):
    what: str
    value: str
    unit: str
    against: str


async def show(visit: Visit) -> Response:
    health = await visit.desk.ports.health.overview()
    async with visit.desk.ports.store.reading() as records:
        counts = await records.events.counts(("signin.done", "signin.refused"), hours=HOURS)
        events = await console.tell(records, await records.events.latest(limit=6))
    bars = chart(counts, visit.desk.ports.clock())
    stones = _stones(health) if health else []
    return await console.page(
        visit,
        "overview",
        "admin/overview/page.html",
        sentence=_sentence(stones) if health else "Monitoring does not answer: below is what the database knows.",
        stones=stones,
        well=sum(1 for stone in stones if not stone.css),
        figures=_figures(health, bars),
        chart=bars,
        events=events,
    )


def _stones(health: Overview) -> list[Stone]:
    known = {server.name: server for server in health.servers}
    return [_stone(known.get(name), label, icon, place) for name, label, icon, place in WALL]


def _stone(server: ServerHealth | None, label: str, icon: str, place: str) -> Stone:
    if server is None:
        return Stone(label.lower(), label, icon, place, "not seen", (), "Unknown", "warn", f"{label} was not seen yet.")
    word = "Down" if not server.ready else "Look" if server.trouble else ""
    css = "bad" if not server.ready else "warn" if server.trouble else ""
    trouble = server.trouble or ("" if server.ready else f"{label} does not answer. It is being started again.")
    return Stone(server.name, label, icon, place, server.detail, server.figures, word, css, trouble)


def _sentence(stones: list[Stone]) -> str:
    troubled = [stone for stone in stones if stone.css]
    if not troubled:
        return "All nine servers are well."
    names = ", ".join(stone.name for stone in troubled)
    need = "One thing needs" if len(troubled) == 1 else f"{NUMBERS[len(troubled)].capitalize()} things need"
    rest = NUMBERS[len(stones) - len(troubled)]
    return f"{need} you: {names}. The other {rest} servers are well."


def _figures(health: Overview | None, bars: Chart) -> list[Figure]:
    tries = bars.done + bars.refused
    first = f"{100 * bars.done / tries:.1f} % of {tries:,} tries" if tries else "nobody tried"
    p99 = health.p99_ms if health else None
    refused = health.refused_share if health else None
    return [
        Figure("Sign-ins, 24 h", f"{bars.done:,}", "", first),
        _figure("p99, all requests", None if p99 is None else f"{p99:.0f}", "ms", "target under 60"),
        _figure("Refused by a rule", None if refused is None else f"{100 * refused:.1f}", "%", "of the last requests"),
        _figure("Jobs waiting", f"{health.backlog:,}" if health else None, "", "mail, thumbnails, cleaning"),
    ]


def _figure(what: str, value: str | None, unit: str, against: str) -> Figure:
    return Figure(what, "–", "", "not measured yet") if value is None else Figure(what, value, unit, against)
