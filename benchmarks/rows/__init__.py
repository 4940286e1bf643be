"""The table of rows: a name, and what measures it. `python -m benchmarks NAME…` runs some of them, in this order."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.figures import Result
from benchmarks.rows import code_flow, fixed, refresh
from benchmarks.stage import Stage

ROWS: dict[str, Callable[[Stage], Result]] = {
    "refresh": refresh.refresh,
    "refresh_lone": refresh.refresh_lone,
    "refresh_scattered": refresh.refresh_scattered,
    "refresh_openid": refresh.refresh_openid,
    "client_credentials": fixed.client_credentials,
    "introspection": fixed.introspection,
    "userinfo": fixed.userinfo,
    "jwks": fixed.jwks,
    "discovery": fixed.discovery,
    "code_flow": code_flow.code_flow,
}
