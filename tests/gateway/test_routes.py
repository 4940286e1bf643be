"""Design §2, flows §9: which server a request reaches, what it may carry, and the gateway's own answers."""

from __future__ import annotations

import json
import time

from tests.gateway.site import Site

from bartizan.gateway import envoy


def bearer(site: Site, **claims: object) -> tuple[str, str]:
    return "Authorization", f"Bearer {site.keys.token(**claims)}"


def test_rows_of_our_own_servers(site: Site) -> None:
    host = site.host("id")
    assert site.ask("POST", "/token", host=host, body=b"a=1").seen["server"] == "auth"
    assert site.ask("GET", "/setup/abc", host=host).seen["path"] == "/setup/abc"
    assert site.ask("GET", "/static/a/b.css?v=1", host=host).seen["path"] == "/static/a/b.css?v=1"
    assert site.ask("HEAD", "/jwks", host=host).status == 200
    assert site.ask("GET", "/dev/inbox", host=host).seen["server"] == "inbox"
    assert site.ask("GET", "/dev/inbox/1", host=host).seen["server"] == "inbox"
    assert site.ask("GET", "/f/1/mac", host=site.host("files")).seen["server"] == "files"
    assert site.ask("GET", "/files", [bearer(site, scope="files.read")]).seen["server"] == "files"
    assert site.ask("GET", "/bff/renew").seen["server"] == "frontend"
    assert site.ask("GET", "/deep/page").seen["server"] == "frontend"
    assert site.ask("GET", "/", host=site.host("print")).seen["server"] == "print"


def test_what_has_no_row_is_404_with_words(site: Site) -> None:
    for path, host in (
        ("/setup/a/b", "id"),
        ("/setup/", "id"),
        ("/nothing", "id"),
        ("/dev/inboxes", "id"),
        ("/api/x", "id"),
        ("/", "files"),
        ("/files", "files"),
        ("/bff/none", "app"),
    ):
        answer = site.ask("GET", path, host=site.host(host))
        assert (answer.status, answer.json()["error"]) == (404, "not_found"), path
        answer = site.ask("GET", path, {"Accept": "text/html"}, host=site.host(host))
        assert (answer.status, answer.header("content-type")) == (404, "text/html; charset=utf-8")


def test_another_method_on_a_known_path_is_the_servers_to_refuse(site: Site) -> None:
    assert site.ask("DELETE", "/token", host=site.host("id")).seen["server"] == "auth"
    assert site.ask("PUT", "/files").status == 401


def test_a_fence_holds_the_path_without_its_slash_too(site: Site) -> None:
    assert site.ask("GET", "/api").status == 401
    assert site.ask("GET", "/apix").seen["server"] == "frontend"


def test_prefixes_are_kept_or_stripped(site: Site) -> None:
    assert site.ask("GET", "/api/a/b?c=1", [bearer(site)]).seen["path"] == "/api/a/b?c=1"
    assert site.ask("GET", "/api/inner/a?b=/api/inner/", [bearer(site)]).seen["path"] == "/a?b=/api/inner/"
    assert site.ask("GET", "/api/inner", [bearer(site)]).seen["path"] == "/"


def test_bodies_have_limits(site: Site) -> None:
    host = site.host("id")
    assert site.ask("POST", "/token", host=host, body=b"x" * 1000).seen["body"] == 1000
    answer = site.ask("POST", "/token", host=host, body=b"x" * 1001)
    assert (answer.status, answer.json()["error"]) == (413, "too_large")
    assert site.ask("POST", "/api/x", [bearer(site)], body=b"x" * 200_000).seen["body"] == 200_000
    assert site.ask("POST", "/api/x", [bearer(site)], body=b"x" * 200_001).status == 413
    chunked = "POST /token HTTP/1.1\nHost: {}\nTransfer-Encoding: chunked\n\n7d0\n{}\n0\n\n".format(host, "x" * 2000)
    assert site.raw(chunked)[0] == 413


def test_uploads_are_streamed_and_bounded_by_what_they_announce(site: Site) -> None:
    upload = bearer(site, scope="photos.write")
    assert site.ask("POST", "/files", [upload], body=b"x" * 2_000_000).seen["body"] == 2_000_000
    answer = site.ask("POST", "/files", [upload, ("Expect", "100-continue")], body=b"x" * 2_000_001)
    assert answer.status == 413
    assert site.ask("POST", "/api/stream/x", [bearer(site)], body=b"x" * 2_900_000).seen["body"] == 2_900_000


def test_limits_by_address_and_by_user(site: Site) -> None:
    host = site.host("id")
    statuses = [site.ask("POST", "/limited", host=host, body=b"").status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    answer = site.ask("POST", "/limited", host=host, body=b"")
    assert (answer.json()["error"], answer.header("retry-after")) == ("slow_down", "20")
    for user in ("ann", "ben"):
        statuses = [site.ask("GET", "/api/limited/x", [bearer(site, sub=user)]).status for _ in range(4)]
        assert statuses == [200, 200, 200, 429], user
    assert site.ask("GET", "/api/x", [bearer(site, sub="ann")]).status == 200


def test_a_dead_app_is_503_with_retry_after(site: Site) -> None:
    answer = site.ask("GET", "/dead/x")
    assert (answer.status, answer.header("retry-after")) == (503, "2")
    assert answer.json()["error"] == "temporarily_unavailable"
    answer = site.ask("GET", "/dead/x", {"Accept": "text/html"})
    assert (answer.status, answer.header("content-type")) == (503, "text/html; charset=utf-8")
    assert answer.header("x-content-type-options") == "nosniff"
    assert "frame-ancestors 'none'" in (answer.header("content-security-policy") or "")
    assert b"127.0.0.1" not in answer.body


def test_a_location_that_names_the_app_gets_the_public_origin(site: Site) -> None:
    inner = next(route.to for route in site.settings.app_routes if route.path == "/open/")
    public = site.settings.app_origin
    for sent, expected in (
        (f"{inner}/next?a=1", f"{public}/next?a=1"),
        (inner, public),
        (f"{inner}?x", f"{public}?x"),
        (f"{inner}0/next", f"{inner}0/next"),
        (f"{inner}.evil.example/", f"{inner}.evil.example/"),
        ("/relative", "/relative"),
        ("https://elsewhere.example/x", "https://elsewhere.example/x"),
    ):
        answer = site.ask("GET", f"/open/x?status=302&location={sent.replace('?', '%3F').replace('&', '%26')}")
        assert (answer.status, answer.header("location")) == (302, expected), sent


def test_answers_behind_a_sign_in_are_not_stored_unless_the_app_says_so(site: Site) -> None:
    assert site.ask("GET", "/api/x", [bearer(site)]).header("cache-control") == "no-store"
    assert site.ask("GET", "/api/x?cache=private", [bearer(site)]).header("cache-control") == "private"
    assert site.ask("GET", "/open/x").header("cache-control") is None


def test_nothing_tells_what_runs_behind(site: Site) -> None:
    for path in ("/open/x", "/dead/x", "/api/x", "/bff/none"):
        answer = site.ask("GET", path)
        assert answer.header("server") is None
        assert answer.header("x-powered-by") is None
        assert answer.header("x-envoy-upstream-service-time") is None


def log_lines(site: Site, request_id: str) -> list[dict[str, object]]:
    until = time.monotonic() + 15  # Envoy writes its file at least every ten seconds
    while True:
        lines = [json.loads(line) for line in site.log.read_text().splitlines() if request_id in line]
        if lines or time.monotonic() > until:
            return lines
        time.sleep(0.1)


def test_the_access_log_keeps_what_is_needed_and_nothing_more(site: Site) -> None:
    token = site.cookie_token()
    sent = [site.cookies(token, refresh=True), ("User-Agent", "secret-agent"), ("Referer", "http://x/?secret-referrer")]
    first = site.ask("GET", "/api/x?code=secret-code", sent)
    second = site.ask("GET", "/setup/secret-link?x=1", host=site.host("id"))
    third = site.ask("GET", '/open/"\\%0a%1b[31m?x', host=site.host("app"))
    (line,) = log_lines(site, first.header("x-request-id") or "")
    assert line["address"] == "127.0.0.0/24"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/x", 200)
    assert (line["server"], line["route"], line["host"]) == ("gateway", "app /api/", site.host("app"))
    assert first.seen_header("x-request-id") == line["request_id"]
    (line,) = log_lines(site, second.header("x-request-id") or "")
    assert line["path"] == "/setup/{token}"
    assert len(log_lines(site, third.header("x-request-id") or "")) == 1
    text = site.log.read_text()
    assert not [line for line in text.splitlines() if json.loads(line)["address"] != "127.0.0.0/24"]
    for secret in ("secret-", token, "\x1b"):
        assert secret not in text


def test_trace_and_connect_reach_nobody(site: Site) -> None:
    before = {name: len(server.seen) for name, server in site.servers.items()}
    token = f"Authorization: {bearer(site)[1]}"
    for name in ("app", "id", "files", "print"):
        host = site.host(name)
        assert site.raw(f"TRACE /open/x HTTP/1.1\nHost: {host}\n{token}\n\n")[0] == 405
        for target in ("evil.example:80", host):
            assert site.raw(f"CONNECT {target} HTTP/1.1\nHost: {host}\n{token}\n\n")[0] in (400, 401, 403, 404, 421)
    assert {name: len(server.seen) for name, server in site.servers.items()} == before


def test_envoy_itself_agrees(site: Site) -> None:
    assert envoy.validate(site.settings) == ""


def test_it_stays_small(site: Site) -> None:
    """Its own memory: the pages of the binary's file, some 50 MB, the system takes back when it needs them."""
    rollup = (site.proc / "smaps_rollup").read_text()
    kilobytes = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss_Anon:"))
    assert kilobytes < 60_000, f"{kilobytes} kB"
