"""The table of rows: a name, and what measures it. `python -m benchmarks NAME…` runs some of them, in this order."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.figures import Result
from benchmarks.rows import (
    bff,
    code_flow,
    ended,
    ended_many,
    fixed,
    gateway,
    guards,
    refresh,
    refresh_many,
    signin,
    storage,
    two_workers,
)
from benchmarks.stage import Stage

ALONE = ("ready_first", "ready_warm", "idle")  # of the demo, before the stage is set (`rows.demo`)

TWO_WORKERS = tuple(f"two_workers_{what}" for what in ("refresh", "client_credentials", "introspection", "code_flow"))
# By name alone: these take minutes, or start a second product; and one signs half of all people out.
ON_WISH = ("refresh_many", "ended_many", *TWO_WORKERS)

ROWS: dict[str, Callable[[Stage], Result]] = {
    "refresh": refresh.refresh,
    "refresh_lone": refresh.refresh_lone,
    "refresh_scattered": refresh.refresh_scattered,
    "refresh_openid": refresh.refresh_openid,
    "refresh_many": refresh_many.refresh_many,
    "client_credentials": fixed.client_credentials,
    "introspection": fixed.introspection,
    "userinfo": fixed.userinfo,
    "jwks": fixed.jwks,
    "discovery": fixed.discovery,
    "code_flow": code_flow.code_flow,
    "sign_in": signin.sign_in,
    "sign_in_herd": signin.sign_in_herd,
    "bff_refresh": bff.bff_refresh,
    "gateway": gateway.gateway,
    "guard_warm": guards.guard_warm,
    "guard_cold": guards.guard_cold,
    "guard_asgi_warm": guards.guard_asgi_warm,
    "ended_lag": ended.ended_lag,
    "ended_many": ended_many.ended_many,
    "two_workers_refresh": two_workers.refresh,
    "two_workers_client_credentials": two_workers.client_credentials,
    "two_workers_introspection": two_workers.introspection,
    "two_workers_code_flow": two_workers.code_flow,
    "hot_share": storage.hot_share,
    "growth": storage.growth,
}
