"""What a look comes to for a person: a row for each of the nine, and a sentence where one needs somebody."""

from __future__ import annotations

from collections.abc import Callable

from bartizan.model.health import Overview, ServerHealth
from bartizan.monitoring.history import History, Point
from bartizan.monitoring.scrape import NINE, Look

OLD_JOB = 120.0  # seconds a job may wait before it is trouble
FULL = 0.9  # of its memory

Figures = tuple[tuple[str, str], ...]
Row = Callable[[Look, History], tuple[str, Figures, str]]  # what runs there, its figures, what is wrong


def point_of(look: Look) -> Point:
    """The totals that rates are made of."""
    out = look.collected
    totals = {server: out.totals("bartizan_requests", server=server) for server in ("auth", "frontend", "files")}
    for server in ("auth", "frontend", "files"):
        totals[f"{server}.500"] = out.totals("bartizan_requests", server=server, status="500")
    totals["gateway"] = out.totals("bartizan_gateway_requests")
    for group in ("4xx", "5xx"):
        totals[group] = out.totals("bartizan_gateway_requests", status=group)
    totals["database"] = out.totals("bartizan_database_transactions")
    totals["cache"] = out.totals("bartizan_cache_commands")
    totals["jobs"] = out.totals("bartizan_jobs", outcome="done")
    return Point(look.at, totals, None if look.gateway is None else look.gateway.p99_ms)


def overview(look: Look, history: History) -> Overview:
    requests = history.grown("gateway")
    return Overview(
        at=look.at,
        servers=tuple(_row(name, look, history) for name in NINE if name in look.ready),
        p99_ms=history.p99_ms(),
        refused_share=history.grown("4xx") / requests if requests else None,
        backlog=sum(row.waiting for row in look.backlog),
    )


def _row(name: str, look: Look, history: History) -> ServerHealth:
    ready = look.ready[name]
    detail, figures, trouble = _ROWS[name](look, history)
    if not ready:
        trouble = _AWAY[name]
    return ServerHealth(name=name, ready=ready, detail=detail, figures=figures, trouble=trouble)


_AWAY = {
    "gateway": "The gateway does not answer. It is started again by itself; its log says why it stopped.",
    "auth": "The auth server is not ready: nobody can sign in. Its log names what it waits for.",
    "frontend": "The frontend server is not ready: pages and renewals wait. Its log names what it waits for.",
    "resource": "Nothing answers at the address of your app. Start it, or correct `to` in its route.",
    "files": "The files server is not ready: uploads and pictures wait. Its log names what it waits for.",
    "worker": "The worker takes no jobs: mail waits. Look whether the database is there and `migrate` has run.",
    "cache": "The cache does not answer: limits fall back to the database. Look at its log, then at its memory.",
    "database": "The database does not answer: everything that needs it gives 503. Look at its log and at the disk.",
    "monitoring": "",
}


def _web(name: str) -> Row:
    def row(look: Look, history: History) -> tuple[str, Figures, str]:
        defects = history.grown(f"{name}.500")
        trouble = f"{defects:.0f} requests of the last minutes ended in a defect. The log has each." if defects else ""
        return "Starlette", ((per_second(history.rate(name)), "req/s"), (f"{defects:.0f}", "defects")), trouble

    return row


def _gateway(look: Look, history: History) -> tuple[str, Figures, str]:
    return "Envoy", ((per_second(history.rate("gateway")), "req/s"), (milliseconds(history.p99_ms()), "p99")), ""


def _resource(look: Look, _: History) -> tuple[str, Figures, str]:
    return "Your app", (("yes" if look.ready["resource"] else "no", "reachable"),), ""


def _worker(look: Look, history: History) -> tuple[str, Figures, str]:
    waiting = sum(row.waiting for row in look.backlog)
    parked = sum(row.parked for row in look.backlog)
    oldest = max((row.oldest_seconds for row in look.backlog), default=0.0)
    rate = history.rate("jobs")
    figures: Figures = ((f"{waiting}", "waiting"), ("–" if rate is None else f"{rate * 60:.0f}", "a minute"))
    if parked:
        return (
            "PgQueuer",
            figures,
            f"{parked} jobs have used up their attempts and are parked. Their log lines say why.",
        )
    if waiting and oldest > OLD_JOB:
        return "PgQueuer", figures, f"{waiting} jobs wait, the oldest for {oldest / 60:.0f} minutes. Is mail going out?"
    return "PgQueuer", figures, ""


def _cache(look: Look, history: History) -> tuple[str, Figures, str]:
    report = look.cache
    if report is None:
        return "Valkey", (), ""
    figures: Figures = ((size(report.memory), "memory"), (f"{report.keys:,}", "key" if report.keys == 1 else "keys"))
    full = report.limit and report.memory > FULL * report.limit
    trouble = "The cache has used nine tenths of its memory. Raise `cache.memory`." if full else ""
    return f"Valkey {report.version}", figures, trouble


def _database(look: Look, history: History) -> tuple[str, Figures, str]:
    report = look.database
    if report is None:
        return "PostgreSQL", (), ""
    figures: Figures = ((per_second(history.rate("database")), "tx/s"), (size(report.size), "stored"))
    old = report.oldest_seconds > 300
    trouble = (
        f"A transaction has been open for {report.oldest_seconds / 60:.0f} minutes. End it: rows pile up."
        if old
        else ""
    )
    return f"PostgreSQL {report.version}", figures, trouble


def _monitoring(look: Look, history: History) -> tuple[str, Figures, str]:
    series = sum(len(metric.samples) for metric in look.collected.collect())
    answering = sum(report is not None for report in look.processes.values())
    return "Prometheus format", ((f"{series:,}", "series"), (f"{answering}", "processes")), ""


_ROWS: dict[str, Row] = {
    "gateway": _gateway,
    "auth": _web("auth"),
    "frontend": _web("frontend"),
    "resource": _resource,
    "files": _web("files"),
    "worker": _worker,
    "cache": _cache,
    "database": _database,
    "monitoring": _monitoring,
}


def per_second(rate: float | None) -> str:
    if rate is None:
        return "–"
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"


def milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"


def size(count: int) -> str:
    amount = float(count)
    for unit in ("B", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GB"
