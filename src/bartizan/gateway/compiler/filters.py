"""The chain (flows §2, §3, §7), in order. What a filter needs to know of a route stands in the route (`policies.py`).

cors → authority (our cookies; the access cookie becomes Authorization) → jwt (signature) → ended (deny list) → replay
(a body that will be sent again) → gate (no token, CSRF, renewal) → scope → limit → body → location (answers only) →
router.
"""

from __future__ import annotations

from bartizan.gateway.compiler import envoy_types as t
from bartizan.gateway.compiler import published, scripts
from bartizan.gateway.compiler.envoy_types import Json
from bartizan.gateway.settings import GatewaySettings

CORS, AUTHORITY, GATE, SCOPE, LIMIT, BODY, LOCATION = "cors", "authority", "gate", "scope", "limit", "body", "location"
REPLAY = "replay"
SEEN = "x-bartizan-authority"

# Flows §4: bodies over 4 MB are not replayed. The bound is one that a pattern of digits can say.
REPLAYABLE_BYTES = 4_000_000
_TOO_LONG = "[4-9][0-9]{6}|[0-9]{8,}"


def chain(settings: GatewaySettings) -> list[Json]:
    return [
        t.named(CORS, t.typed(t.CORS)),
        _authority(settings),
        _published(settings, published.JWT_FILTER, published.JWT_FILE, t.JWT),
        _published(settings, published.ENDED_FILTER, published.ENDED_FILE, t.RBAC),
        _replay(),
        _gate(settings),
        {**t.named(SCOPE, t.typed(t.RBAC)), "disabled": True},
        {**t.named(LIMIT, t.typed(t.LOCAL_LIMIT, stat_prefix=LIMIT)), "disabled": True},
        {**t.named(BODY, t.typed(t.BUFFER, max_request_bytes=1)), "disabled": True},
        _location(),
        t.named("router", t.typed(t.ROUTER, suppress_envoy_headers=True)),
    ]


_BY_NAME = (scripts.PUBLIC, scripts.KEPT, scripts.PREFLIGHT, scripts.TOO_LARGE)


def _authority(settings: GatewaySettings) -> Json:
    """A route that names no script gets the one of routes that look at the caller."""
    sources = {which: _inline(scripts.cookie_script(settings, which)) for which in _BY_NAME}
    default = _inline(scripts.cookie_script(settings, scripts.AUTHORITY))
    return t.named(AUTHORITY, t.typed(t.LUA, default_source_code=default, source_codes=sources))


def _replay() -> Json:
    """Before the gate answers 307 the body is taken in whole: an answer in the middle of a big one would end in a reset
    connection, and Chromium then drops the redirect."""
    buffer = t.named(REPLAY, t.typed(t.BUFFER, max_request_bytes=REPLAYABLE_BYTES))
    wanted = _all(
        _not(_present(published.GID)),
        _header(SEEN, {"contains": "r"}),
        _header("sec-fetch-site", {"exact": "same-origin"}),
        _present("content-length"),
        _not(_header("content-length", _regex(_TOO_LONG))),
    )
    return _unless(_not(wanted), buffer)


def _gate(settings: GatewaySettings) -> Json:
    """Skipped for a safe request under a good token that is no WebSocket handshake and may come from where it came."""
    skip = _all(
        _header(":method", _regex("GET|HEAD|OPTIONS")),
        _present(published.GID),
        _not(_present("upgrade")),
        _any(_present(published.CSRF), _not(_header(SEEN, {"prefix": "k"}))),
    )
    return _unless(
        skip, t.named(GATE, t.typed(t.LUA, default_source_code=_inline(scripts.gate(settings, REPLAYABLE_BYTES))))
    )


def _location() -> Json:
    lua = t.named(LOCATION, t.typed(t.LUA, default_source_code=_inline(scripts.location())))
    has_one = _single(t.RESPONSE_HEADER, "location", _regex("https?://.*"))
    return _unless(_not(has_one), lua)


def _published(settings: GatewaySettings, name: str, file: str, kind: str) -> Json:
    path = settings.config_dir / file
    source = {
        "path_config_source": {"path": str(path), "watched_directory": {"path": str(path.parent)}},
        "resource_api_version": "V3",
    }
    return {"name": name, "config_discovery": {"config_source": source, "type_urls": [t.url(kind)]}}


def _inline(script: str) -> Json:
    return {"inline_string": script}


def _unless(skip: Json, filter_: Json) -> Json:
    matcher = {"matcher_list": {"matchers": [{"predicate": skip, "on_match": _skipped()}]}}
    return t.named(filter_["name"], t.typed(t.MATCHED, extension_config=filter_, xds_matcher=matcher))


def _skipped() -> Json:
    return {"action": t.named("skip", t.typed(t.SKIP))}


def _header(name: str, match: Json) -> Json:
    return _single(t.REQUEST_HEADER, name, match)


def _present(name: str) -> Json:
    return _header(name, _regex(".*"))


def _regex(pattern: str) -> Json:
    return {"safe_regex": {"google_re2": {}, "regex": pattern}}


def _single(kind: str, name: str, match: Json) -> Json:
    return {"single_predicate": {"input": t.named("header", t.typed(kind, header_name=name)), "value_match": match}}


def _all(*predicates: Json) -> Json:
    return {"and_matcher": {"predicate": list(predicates)}}


def _any(*predicates: Json) -> Json:
    return {"or_matcher": {"predicate": list(predicates)}}


def _not(predicate: Json) -> Json:
    return {"not_matcher": predicate}
