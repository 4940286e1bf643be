"""The pieces that rows of our own and routes of the config have in common: matches, actions, direct answers."""

from __future__ import annotations

from collections.abc import Iterable

from bartizan.gateway.compiler import envoy_types as t
from bartizan.gateway.compiler import policies, scripts
from bartizan.gateway.compiler.envoy_types import Json

# A quiet stream is cut after this; a busy one lives on. Uploads and downloads are never this long without a byte.
_IDLE_SECONDS = 300
_SILENT_SECONDS = 60  # the listener's own bound for a request and its answer without a byte
_MOST = 2**62


def one_of(methods: Iterable[str]) -> Json:
    """A route's headers are looked at before its path, by every request that passes it: one method needs no pattern."""
    first, *others = methods
    match: Json = {"safe_regex": {"regex": "|".join((first, *others))}} if others else {"exact": first}
    return {"name": ":method", "string_match": match}


def header(name: str, match: Json) -> Json:
    return {"name": name, "string_match": match}


def with_headers(match: Json, *headers: Json) -> Json:
    return {**match, "headers": [*match.get("headers", ()), *headers]}


def forward(cluster: str, *, timeout: int, cut: int = 0, retried: bool = True) -> Json:
    """`timeout` from the end of the request to the end of the answer, 0: none; `cut`: the whole stream's life."""
    action: Json = {"cluster": cluster, "timeout": t.seconds(timeout)}
    if retried:
        # Only what surely never reached the server is sent again.
        # Of several workers another is asked; one that is alone, once more.
        action["retry_policy"] = {
            "retry_on": "connect-failure,refused-stream,reset-before-request",
            "num_retries": 1,
            "retry_host_predicate": [t.named("envoy.retry_host_predicates.previous_hosts", t.typed(t.PREVIOUS_HOSTS))],
            "host_selection_retry_max_attempts": 3,
        }
    if not timeout or not retried or timeout >= _SILENT_SECONDS:
        action["idle_timeout"] = t.seconds(max(_IDLE_SECONDS, timeout + 1))
    if cut:
        action["max_stream_duration"] = {"max_stream_duration": t.seconds(cut)}
    return action


def too_large(match: Json, cluster: str, limit_bytes: int, cors: Json) -> Json:
    """413 by the announced length, for bodies that go through unbuffered."""
    longer = {"name": "content-length", "range_match": {"start": limit_bytes + 1, "end": _MOST}}
    return _answered("too large", with_headers(match, longer), cluster, scripts.TOO_LARGE, cors)


def preflight(match: Json, cluster: str, cors: Json) -> list[Json]:
    """Ends at the gateway: the CORS filter answers a listed origin, a script the others."""
    if not cors:
        return []
    asked = {"name": "access-control-request-method", "present_match": True}
    listed = with_headers(match, one_of(["OPTIONS"]), asked)
    return [_answered("preflight", listed, cluster, scripts.PREFLIGHT, cors)]


def _answered(name: str, match: Json, cluster: str, script: str, cors: Json) -> Json:
    """An answer with CORS headers. The filter does not look at routes with a direct answer, so this one names a cluster
    that it never reaches."""
    return {
        "name": name,
        "match": match,
        "route": {"cluster": cluster},
        "typed_per_filter_config": {**policies.answered(script), **cors},
    }


def vary(cors: Json) -> list[Json]:
    """Fetch, "CORS protocol and HTTP caches": an answer that depends on the origin says so, to all."""
    line = {"header": {"key": "vary", "value": "Origin"}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}
    return [line] if cors else []


def answer(name: str, match: Json, status: int) -> Json:
    """An answer of the gateway itself; `answers.py` gives it its words."""
    return {
        "name": name,
        "match": match,
        "direct_response": {"status": status},
        "typed_per_filter_config": policies.untouched(),
    }


def about(**facts: str) -> Json:
    """What answers and the access log may say of a route."""
    return {"filter_metadata": {"bartizan": facts}}
