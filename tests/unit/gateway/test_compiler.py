"""The compiler is a function of its settings: what must hold of every configuration it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from bartizan.gateway.compiler import answers, clusters, filters, policies, published
from bartizan.gateway.compiler.bootstrap import bootstrap
from bartizan.gateway.compiler.vhosts import route_config
from bartizan.gateway.settings import Access, AppRoute, GatewaySettings, Mode, OwnServer, PassHost
from bartizan.model.route import Origin, Route, Who
from bartizan.protocol.web.csrf import Rule


async def _endpoint(request: Request) -> Response:
    return Response()


def row(path: str, who: Who, origin: Origin = Origin.ID, **more: Any) -> Route:
    return Route(methods=("GET", "POST"), path=path, endpoint=_endpoint, who=who, origin=origin, **more)


SETTINGS = GatewaySettings(
    app_origin="https://app.example.com",
    id_origin="https://id.example.com",
    files_origin="https://files.example.com",
    own=(
        OwnServer(
            name="auth",
            socket=Path("/run/bz/auth.sock"),
            routes=(row("/token", Who.CLIENT, cors="clients"), row("/verify/{token}", Who.ANYONE, limit="5/minute")),
        ),
        OwnServer(
            name="frontend",
            socket=Path("/run/bz/frontend.sock"),
            routes=(row("/bff/renew", Who.BROWSER, Origin.APP, stream=True),),
        ),
        OwnServer(
            name="files",
            socket=Path("/run/bz/files.sock"),
            routes=(
                row("/files/{id}", Who.TOKEN, Origin.APP, scope="files.read"),
                row("/f/{mac}", Who.ANYONE, Origin.FILES),
            ),
        ),
    ),
    app_routes=(
        AppRoute(path="/", to="unix:/run/bz/frontend.sock", access=Access.PUBLIC),
        AppRoute(path="/api/", to="http://127.0.0.1:5000", websocket=True, cors_origins=("https://p.example",)),
        AppRoute(path="/api/photos/", to="http://127.0.0.1:5000", scope="photos.read", limit="100/minute per user"),
        AppRoute(path="/api/photos", to="http://127.0.0.1:5000", access=Access.OPTIONAL, csrf=Rule.FORM),
        AppRoute(path="/up/", to="https://up.example.com", stream=True, timeout=0),
    ),
    hosts=(PassHost(origin="https://print.example.com", to="http://localhost:5001"),),
    auth_address="unix:/run/bz/auth.sock",
    config_dir=Path("/run/bz/gateway"),
    admin_socket=Path("/run/bz/envoy-admin.sock"),
)


def routes_of(name: str, settings: GatewaySettings = SETTINGS) -> list[dict[str, Any]]:
    hosts = route_config(settings)["virtual_hosts"]
    return list(next(host["routes"] for host in hosts if host["name"] == name))


def everything(settings: GatewaySettings = SETTINGS) -> list[dict[str, Any]]:
    return [route for host in route_config(settings)["virtual_hosts"] for route in host["routes"]]


def test_it_is_json_and_the_same_each_time() -> None:
    assert json.dumps(bootstrap(SETTINGS)) == json.dumps(bootstrap(SETTINGS))


def test_every_route_says_how_a_caller_is_treated() -> None:
    """No route may rely on a filter's default: either the token is looked at, or all three filters are switched off."""
    for route in everything():
        told = route["typed_per_filter_config"]
        jwt, gate = told[published.JWT_FILTER], told[filters.GATE]
        if "requirement_name" in jwt:
            assert gate["filter_context"]["access"] in ("required", "optional"), route["name"]
            assert published.ENDED_FILTER not in told, route["name"]
            assert filters.AUTHORITY not in told, route["name"]
        else:
            assert jwt["disabled"], route["name"]
            assert gate["disabled"], route["name"]
            assert published.ENDED_FILTER in told, route["name"]
            assert filters.AUTHORITY in told, route["name"]


def test_every_route_leads_to_a_cluster_or_answers() -> None:
    known = {cluster["name"] for cluster in clusters.clusters(SETTINGS)}
    for route in everything():
        assert ("direct_response" in route) or route["route"]["cluster"] in known, route["name"]


def test_the_longest_path_comes_first_and_the_exact_one_before_the_prefix() -> None:
    names = [route["name"] for route in routes_of("app") if route["name"].startswith("app ")]
    assert names == ["app /api/photos/", "app /api/photos", "app /api/", "app /up/", "app /"]


def test_only_what_has_a_body_limit_is_unbuffered() -> None:
    for route in routes_of("app"):
        if "route" not in route or route["route"].get("upgrade_configs") or route["name"] in ("preflight", "too large"):
            continue
        streamed = route["name"] in ("app /up/", "frontend /bff/renew")
        if not streamed or route["match"].get("headers"):
            assert (filters.BODY in route["typed_per_filter_config"]) != streamed, route["name"]


def test_websockets_and_event_streams_live_one_access_lifetime() -> None:
    for route in routes_of("app", replace(SETTINGS, access_token_lifetime=77)):
        kind, _, path = route["name"].partition(" ")
        if kind in ("websocket", "events"):
            cut = route["route"].get("max_stream_duration")
            assert cut == (None if path == "/" else {"max_stream_duration": "77s"}), route["name"]
            assert route["route"]["timeout"] == "0s"


def test_paths_with_variables_are_logged_as_their_row_writes_them() -> None:
    logged = [route["metadata"]["filter_metadata"]["bartizan"].get("logged_path") for route in routes_of("id")[1:-1]]
    assert set(logged) == {None, "/verify/{token}"}


def test_one_cluster_for_each_address() -> None:
    names = [cluster["name"] for cluster in clusters.clusters(SETTINGS)]
    assert names == [
        "auth",
        "frontend",
        "files",
        "http://127.0.0.1:5000",
        "https://up.example.com:443",
        "http://localhost:5001",
    ]


def test_an_https_upstream_is_verified_by_its_name() -> None:
    cluster = next(one for one in clusters.clusters(SETTINGS) if one["name"].startswith("https://up"))
    context = cluster["transport_socket"]["typed_config"]
    assert context["sni"] == "up.example.com"
    assert context["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"] == [
        {"san_type": "DNS", "matcher": {"exact": "up.example.com"}}
    ]


@pytest.mark.parametrize(
    "to", ["127.0.0.1:5000", "ftp://x", "http://", "http://x/path", "unix:relative", "", "http://x?y"]
)
def test_an_address_that_is_none_is_refused(to: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        clusters.upstream(to)


@pytest.mark.parametrize("text", ["often", "0/minute", "5/fortnight"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="limit"):
        policies.limit(text)


def test_a_limit_says_when_to_come_back() -> None:
    told = policies.limit("30/minute per user")[filters.LIMIT]
    assert told["response_headers_to_add"][0]["header"]["value"] == "2"
    assert [action for limit in told["rate_limits"] for one in limit["actions"] for action in one] == [
        "request_headers",
        "header_value_match",
        "masked_remote_address",
    ]


def test_the_deny_list_is_a_map_and_the_closed_one_looks_at_who_shows_a_token() -> None:
    tree = published.ended(["b", "a", "a"])["resources"][0]["typed_config"]["matcher"]["matcher_tree"]
    assert list(tree["exact_match_map"]["map"]) == ["-", "a", "b"]
    assert tree["input"]["typed_config"]["header_name"] == published.GID
    tree = published.unseen()["resources"][0]["typed_config"]["matcher"]["matcher_tree"]
    assert tree["input"]["typed_config"]["header_name"] == "authorization"


def test_the_jwt_check_names_issuer_audience_and_a_small_leeway() -> None:
    def provider(settings: GatewaySettings) -> dict[str, Any]:
        config = published.jwt(settings, "{}")["resources"][0]["typed_config"]
        return dict(config["providers"][published.PROVIDER])

    assert provider(SETTINGS)["issuer"] == "https://id.example.com"
    assert provider(SETTINGS)["audiences"] == ["https://app.example.com"]
    assert provider(SETTINGS)["clock_skew_seconds"] == 5
    assert provider(SETTINGS)["require_expiration"] is True
    assert provider(replace(SETTINGS, audiences=("x",)))["audiences"] == ["x"]


def test_memory_mode_has_no_renewal() -> None:
    def locations(mode: Mode) -> int:
        return json.dumps(answers.local_reply(replace(SETTINGS, mode=mode))).count("/bff/renew")

    assert locations(Mode.COOKIE) == 2
    assert locations(Mode.MEMORY) == 0


def test_every_answer_has_a_page_and_json_and_repeats_nothing_unchecked() -> None:
    for answer in answers.table(SETTINGS):
        page = answers.page(answer, SETTINGS.app_origin)
        assert f"<h1>{answer.title}</h1>" in page
        assert page.count("<a ") == 1
        assert ("/bff/login?return_to=/" in page) == (answer.status == 401 and answer.code != "memory_mode")
        for operator in ("%REQ(:PATH)%", "%REQ(COOKIE)%", "%REQ(REFERER)%"):
            assert operator not in page
        assert ("%REQ(:AUTHORITY)%" in page) == (answer.status == 421)
    statuses = [(answer.seen_as or answer.status, answer.because, answer.marked) for answer in answers.table(SETTINGS)]
    assert len(set(statuses)) == len(statuses)


def test_https_is_said_once_and_for_all() -> None:
    assert "strict-transport-security" in json.dumps(bootstrap(SETTINGS))
    local = replace(
        SETTINGS,
        app_origin="http://app.localhost:8080",
        id_origin="http://id.localhost:8080",
        files_origin="http://files.localhost:8080",
        hosts=(),
    )
    text = json.dumps(bootstrap(local))
    assert "strict-transport-security" not in text
    assert "__Host-bz8080-at" in text
    assert "__Host-bz-at" in json.dumps(bootstrap(SETTINGS))


def test_a_long_poll_has_a_histogram_of_its_own() -> None:
    """So that monitoring can take its wait out of the p99."""
    rows = (row("/poll", Who.ANYONE, held=True), row("/page", Who.ANYONE))
    settings = replace(SETTINGS, own=(OwnServer(name="auth", socket=Path("/run/bz/auth.sock"), routes=rows),))
    held = [route["name"] for route in routes_of("id", settings) if route.get("stat_prefix") == "held"]
    assert held == ["auth /poll"]


def test_of_several_workers_one_that_takes_no_connection_is_passed_over() -> None:
    more = OwnServer(name="auth", socket=Path("/run/bz/auth.sock"), others=(Path("/run/bz/auth-2.sock"),))
    cluster = next(one for one in clusters.clusters(replace(SETTINGS, own=(more,))) if one["name"] == "auth")
    (group,) = cluster["load_assignment"]["endpoints"]
    pipes = [one["endpoint"]["address"]["pipe"]["path"] for one in group["lb_endpoints"]]
    assert pipes == ["/run/bz/auth.sock", "/run/bz/auth-2.sock"]
    watched = cluster["outlier_detection"]
    assert watched["consecutive_local_origin_failure"] == 1
    assert watched["enforcing_consecutive_5xx"] == watched["enforcing_consecutive_gateway_failure"] == 0
    alone = next(one for one in clusters.clusters(SETTINGS) if one["name"] == "auth")
    assert "outlier_detection" not in alone


def test_only_what_never_reached_a_server_is_sent_again() -> None:
    policies_of = [
        route["route"]["retry_policy"]
        for origin in ("app", "id", "files")
        for route in routes_of(origin, SETTINGS)
        if "retry_policy" in route.get("route", {})
    ]
    assert policies_of
    for policy in policies_of:
        assert set(policy["retry_on"].split(",")) <= {"connect-failure", "refused-stream", "reset-before-request"}
        assert policy["num_retries"] == 1
