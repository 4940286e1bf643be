"""A look at processes over their sockets: merged families, who is ready, what a person reads."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp, Message

from bartizan.monitoring import ask
from bartizan.monitoring.health_client import HealthClient
from bartizan.monitoring.meter import PrometheusMeter
from bartizan.monitoring.ports import MonitoringPorts
from bartizan.monitoring.server import Monitor, metrics_app, overview_app
from bartizan.monitoring.settings import AppTarget, MonitoringSettings
from bartizan.monitoring.sources import read_envoy
from bartizan.web.status import status_app

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ENVOY = """http.gateway.downstream_rq_2xx: 90
http.gateway.downstream_rq_4xx: 10
http.gateway.downstream_rq_active: 2
http.gateway.rbac.denied: 3
http.gateway.jwt_authn.denied: 4
limit.http_local_rate_limit.rate_limited: 5
cluster.auth.upstream_rq_2xx: 70
server.uptime: 60
server.memory_allocated: 6026536
http.gateway.downstream_rq_time:
  totals=1,0.1:900, 80,1:4
  intervals=0,0:2, 1,0.1:96, 41,1:2, 1500,100:5, 1600,100:2
  summary=P0(0,0) P50(1,1) P99(1650,80) P100(1700,90)
vhost.id.route.held.upstream_rq_time:
  totals=1500,100:60
  intervals=1500,100:7
  summary=P0(1500,1500)
"""


@pytest.fixture
def sockets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bz") as short:
        yield Path(short)


@asynccontextmanager
async def answering(app: ASGIApp, path: Path) -> AsyncIterator[None]:
    """An ASGI app on a Unix socket, one request a connection, as much as these tests need."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ", 2)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                lines = b"".join(name + b": " + value + b"\r\n" for name, value in message["headers"])
                writer.write(b"HTTP/1.1 %d x\r\n%s\r\n" % (message["status"], lines))
            else:
                writer.write(message["body"])

        await app({"type": "http", "method": method, "path": target.split("?")[0], "headers": []}, receive, send)
        writer.close()

    server = await asyncio.start_unix_server(serve, str(path))
    try:
        yield
    finally:
        server.close()


def process(name: str, *, ready: bool = True, requests: int = 0) -> ASGIApp:
    meter = PrometheusMeter()
    for _ in range(requests):
        meter.count("requests", server=name, route="/token", status="200")

    async def check() -> bool:
        return ready

    return status_app(name, {"it": check}, meter.render)


async def envoy(scope: object, receive: object, send: object) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator] # a plain ASGI app
    await send({"type": "http.response.body", "body": ENVOY.encode()})  # type: ignore[operator] # as above


def monitor_of(sockets: Path, **more: object) -> Monitor:
    settings = MonitoringSettings(
        sockets=sockets,
        processes={"web": ("auth", "frontend", "files"), "work": ("worker", "monitoring")},
        **more,  # type: ignore[arg-type] # the tests name real fields
    )
    return Monitor(settings, MonitoringPorts(meter=PrometheusMeter(), store=None, clock=lambda: NOW))


def test_one_family_from_many_processes_is_one_family(sockets: Path) -> None:
    async def walk() -> str:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(answering(process("auth", requests=3), sockets / "status-web.sock"))
            await stack.enter_async_context(answering(process("auth", requests=4), sockets / "status-web2.sock"))
            monitor = monitor_of(sockets)
            await monitor.refresh()
            return monitor.metrics()[2].decode()

    text = asyncio.run(walk())
    assert text.count("# TYPE bartizan_requests_total") == 1
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = families["bartizan_requests"].samples
    assert sorted((s.labels["process"], s.value) for s in samples) == [("web", 3.0), ("web2", 4.0)]


def test_a_process_that_is_away_makes_its_servers_not_ready(sockets: Path) -> None:
    async def walk() -> dict[str, tuple[bool, str]]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(answering(process("web", ready=False), sockets / "status-web.sock"))
            await stack.enter_async_context(answering(envoy, sockets / "envoy-admin.sock"))
            monitor = monitor_of(
                sockets,
                envoy_admin=sockets / "envoy-admin.sock",
                app=AppTarget(address=f"unix:{sockets}/nobody.sock"),
                database_url=f"postgresql://x@/x?host={sockets}",
                cache_url=f"unix://{sockets}/valkey.sock",
            )
            await monitor.refresh()
            overview = monitor.overview()
            assert overview is not None
            return {row.name: (row.ready, row.trouble) for row in overview.servers}

    rows = asyncio.run(walk())
    assert [name for name, (ready, _) in rows.items() if ready] == ["gateway", "monitoring"]
    assert len(rows) == 9
    for name, (ready, trouble) in rows.items():
        assert bool(trouble) is not ready, name
        assert ready or trouble.endswith(".")


def test_what_envoy_says_is_read() -> None:
    report = read_envoy(ENVOY)
    assert report.p99_ms == 41.5
    assert report.numbers["http.gateway.downstream_rq_4xx"] == 10
    assert read_envoy("http.gateway.downstream_rq_time: No recorded values\nnonsense\n\n").p99_ms is None
    idle = ENVOY.replace("0,0:2, 1,0.1:96, 41,1:2, ", "")
    assert read_envoy(idle).p99_ms is None, "nothing passed but long polls"


def test_the_console_asks_over_the_socket(sockets: Path) -> None:
    async def walk() -> None:
        client = HealthClient(sockets / "monitoring.sock")
        assert await client.overview() is None
        monitor = monitor_of(sockets)
        async with answering(overview_app(monitor), sockets / "monitoring.sock"):
            overview = await client.overview()
            assert overview is not None, "who asks is not told to come again"
            points = len(monitor._history.points)
            assert await client.overview() == overview
            assert len(monitor._history.points) == points == 1, "one look serves all who ask within a moment"
            assert overview.at == NOW.timestamp()
            assert await client.history() is not None
        async with answering(metrics_app(monitor), sockets / "metrics.sock"):
            address = f"unix:{sockets}/metrics.sock"
            assert (await ask.get(address, "/metrics")).status == 200
            assert (await ask.get(address, "/overview")).status == 404

    asyncio.run(walk())


@pytest.mark.parametrize(
    ("listening", "asked", "status"),
    [
        ("127.0.0.1", "127.0.0.1:9464", 200),
        ("127.0.0.1", "localhost:9464", 200),
        ("127.0.0.1", "metrics.localhost", 200),
        ("::1", "[::1]:9464", 200),
        ("127.0.0.1", "rebound.example:9464", 421),
        ("127.0.0.1", "localhost.rebound.example", 421),
        ("127.0.0.1", "203.0.113.7:9464", 421),
        ("203.0.113.7", "node-7.internal:9464", 200),
    ],
)
def test_a_page_whose_name_was_bound_to_loopback_reads_no_metrics(
    sockets: Path, listening: str, asked: str, status: int
) -> None:
    async def walk() -> None:
        monitor = monitor_of(sockets, host=listening)
        await monitor.refresh()
        started: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            started.append(message)

        scope = {"type": "http", "method": "GET", "path": "/metrics", "headers": [(b"host", asked.encode())]}
        await metrics_app(monitor)(scope, receive, send)
        assert started[0]["status"] == status

    asyncio.run(walk())


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc x\r\n\r\n", b"HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\nx"]
)
def test_what_is_no_answer_is_an_os_error(sockets: Path, answer: bytes) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async def walk() -> None:
        server = await asyncio.start_unix_server(serve, str(sockets / "odd.sock"))
        try:
            with pytest.raises(OSError, match=r"no HTTP|reset"):
                await ask.get(f"unix:{sockets}/odd.sock", "/metrics")
        finally:
            server.close()

    asyncio.run(walk())
