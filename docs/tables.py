"""Writes the reference pages that are tables of the code: events, metrics, cookies, http.

python docs/tables.py          rewrite them
python docs/tables.py --check  say whether they are current (a test runs this)
"""

from __future__ import annotations

import ast
import asyncio
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from bartizan.gateway.compiler import answers
from bartizan.gateway.settings import GatewaySettings
from bartizan.model.event import EVENTS
from bartizan.monitoring.families import FAMILIES
from bartizan.protocol.oauth.errors import ERRORS
from bartizan.protocol.web import cookies
from bartizan.stack import compile as compiled
from bartizan.stack import inspect, parts, wiring
from bartizan.stack.schema import Config

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
SOURCE = ROOT / "src" / "bartizan"
WRITTEN = "Written by `python docs/tables.py`; do not edit."

# What the servers count and time themselves: `meter.count("requests", …)` is bartizan_requests_total.
COUNTED = {
    "requests": "requests that a server of ours answered",
    "request": "how long each took",
    "tokens_issued": "answers of the token endpoint that held tokens",
    "refresh": "refresh tokens presented, by what came of it",
    "replayed": "codes and refresh tokens that came back, and ended what they had bought",
    "client_refused": "clients that failed to authenticate",
    "bff_sign_ins": "sign-ins that the app's frontend completed",
    "bff_sign_outs": "sign-outs through the app's frontend",
    "bff_refreshes": "renewals through the app's frontend",
    "csp_reports": "reports of browsers, by directive",
    "jobs": "runs of jobs, by what came of it",
    "job": "how long each run took",
    "files_uploaded": "files taken",
}
# Field of CookieNames → (holds, flags, at most).
COOKIES = {
    "at": ("The access token, in cookie mode", "HttpOnly, SameSite=Strict", "as long as the token: 4 to 5 minutes"),
    "rt": ("Refresh token, CSRF value and ID token, sealed", "HttpOnly, SameSite=Strict", "90 days"),
    "csrf": ("The CSRF value, for `X-CSRF-Token`", "SameSite=Lax, readable", "90 days"),
    "hop": (
        "That a renewal has just happened, so that none goes round in circles",
        "HttpOnly, SameSite=Strict",
        "10 s",
    ),
    "login_prefix": ("One sign-in under way: verifier, state, nonce, sealed", "HttpOnly, SameSite=Lax", "10 minutes"),
    "sso": ("The sign-on session, a random secret", "HttpOnly, SameSite=Lax", "`auth.session_absolute`"),
    "ix": ("One interaction at the sign-in pages", "HttpOnly, SameSite=Lax", "1 hour"),
}
AT_ID = ("sso", "ix")
# Those of the pages at id, which no other server knows of (auth/signin, web/formcsrf.py).
OF_PAGES = {
    "form": (
        "A random value to which the pages' forms are bound",
        "HttpOnly, SameSite=Lax",
        "until the browser closes",
    ),
    "wait": ("The mail that is waited for after sign-up or reset, sealed", "HttpOnly, SameSite=Lax", "1 hour"),
    "seen": (
        "That somebody has signed in here before: a stranger's wrong passwords do not lock this browser out",
        "HttpOnly, SameSite=Lax",
        "180 days",
    ),
}


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [
        "| " + " | ".join(str(cell).replace("|", "&#124;").replace("\n", " ") for cell in row) + " |" for row in rows
    ]
    return "\n".join(lines)


def page(title: str, *parts_: str) -> str:
    return "\n\n".join((f"# {title}", WRITTEN, *parts_)) + "\n"


def events() -> str:
    rows = ((f"`{kind.code}`", kind.severity, kind.sentence) for kind in EVENTS.values())
    return page(
        "Security events",
        "An event is written in the transaction that it describes, and sealed in order. `bartizan_events_last_hour`\n"
        "counts each; the console shows the sentence. It holds ids, a masked network and a keyed hash of the address,\n"
        "never the address itself.",
        table(("Code", "Weight", "Sentence"), rows),
    )


def metrics() -> str:
    made = (
        (f"`{family.name}{'_total' if family.kind == 'counter' else ''}`", family.kind, family.help)
        for family in FAMILIES.values()
    )
    return page(
        "Metrics",
        "`http://127.0.0.1:9464/metrics` (the card says which port), in Prometheus' text format. Alert rules:\n"
        "`deploy/alerts/bartizan.rules.yml`.",
        "## What monitoring sees",
        table(("Name", "Kind", "Meaning"), made),
        "## What the servers count themselves",
        table(("Name", "Labels", "Meaning"), sorted(_counted())),
    )


def _counted() -> Iterator[tuple[str, str, str]]:
    """Each `….meter.count(name, label=…)` of the source. One without a meaning here fails."""
    endings = {"count": "_total", "observe": "_seconds", "set": ""}
    seen: dict[tuple[str, str], set[str]] = {}
    for file in SOURCE.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or not call.args:
                continue
            name, holder = call.args[0], ast.unparse(call.func.value)
            if call.func.attr in endings and holder.endswith("meter") and isinstance(name, ast.Constant):
                labels = seen.setdefault((str(name.value), call.func.attr), set())
                labels |= {word.arg for word in call.keywords if word.arg and word.arg != "amount"}
    for (name, how), labels in seen.items():
        yield f"`bartizan_{name}{endings[how]}`", ", ".join(sorted(labels)) or "–", COUNTED[name]


def cookie_page() -> str:
    here, away = cookies.names("http://app.localhost:8080"), cookies.names("https://app.example.com")
    rows = (
        (
            f"`{getattr(away, name)}{'…' if name == 'login_prefix' else ''}`",
            "id" if name in AT_ID else "app",
            *COOKIES[name],
        )
        for name in cookies.CookieNames.__struct_fields__
    )
    pages = ((f"`{away.sso.removesuffix('sso')}{name}`", "id", *told) for name, told in OF_PAGES.items())
    return page(
        "Cookies",
        "All are `Secure`, `Path=/`, without a `Domain`, and carry the prefix `__Host-`, so no sibling subdomain can\n"
        f"plant one. Below `localhost` the names hold the port (`{here.at}`), as cookies ignore ports. The gateway\n"
        "takes all of them out before a request reaches your app.",
        table(("Name", "Origin", "Holds", "Flags", "Lives at most"), (*rows, *pages)),
    )


def http() -> str:
    with tempfile.TemporaryDirectory() as nowhere:
        routes = inspect.route_rows(None, Path(nowhere) / "data")
        settings = asyncio.run(_gateway(Path(nowhere)))
    rows = (
        (row["origin"], " ".join(row["methods"]), f"`{row['path']}`", row["who"], row["limit"] or "–")
        for row in sorted(routes, key=lambda row: (row["origin"], row["path"], row["methods"]))
        if row["server"] in ("auth", "frontend", "files", "inbox")
    )
    told = dict.fromkeys((answer.status, f"`{answer.code}`", answer.title) for answer in answers.table(settings))
    return page(
        "HTTP",
        "## What your app is sent",
        table(
            ("Header", "Value"),
            (
                (
                    "`X-Bartizan-User`",
                    "Who calls: the token's subject. A client's own is removed, whatever its spelling",
                ),
                ("`Authorization`", "`Bearer` and the access token, also where the browser sent a cookie"),
                ("`X-Request-Id`", "The same in every log"),
                ("`X-Forwarded-For`", "The caller's address; a client's own counts only from `site.trusted_proxies`"),
            ),
        ),
        "## What the gateway answers by itself",
        'As a page to a browser that navigates, else as `{"error": …, "error_description": …}`.',
        table(("Status", "Code", "Title"), sorted(told)),
        "## What the protocol endpoints answer",
        table(("Code", "Status", "Sentence"), ((f"`{row.code}`", row.status, row.tell) for row in ERRORS.values())),
        "## Addresses of our own servers",
        table(("Origin", "Methods", "Path", "Who", "Limit"), rows),
    )


async def _gateway(nowhere: Path) -> GatewaySettings:
    at = inspect.imagined(Config(), nowhere, nowhere / "data")
    handed = await parts.idle(at)
    try:
        return compiled.gateway(at, wiring.own_servers(handed))
    finally:
        await handed.close()


PAGES = {"events": events, "metrics": metrics, "cookies": cookie_page, "http": http}


def main() -> None:
    for name, draw in PAGES.items():
        file, text = FOLDER / f"{name}.md", draw()
        if "--check" not in sys.argv:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            raise SystemExit(f"docs/reference/{name}.md is not current: run python docs/tables.py")


if __name__ == "__main__":
    main()
