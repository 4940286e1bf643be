"""What wrk prints, read: rates, percentiles, and everything that went wrong."""

from __future__ import annotations

import pytest
from benchmarks import wrk

GOOD = """\
Running 2s test @ http://127.0.0.1:8080/api/thing
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     9.11ms    3.45ms  50.23ms   87.43%
    Req/Sec     7.06k   534.87     7.90k    75.00%
  Latency Distribution
     50%    8.36ms
     75%   10.02ms
     90%   12.60ms
     99%    1.05s
  14046 requests in 2.00s, 18.24MB read
Requests/sec:   7019.46
Transfer/sec:      9.12MB
"""


def test_a_good_run() -> None:
    said = wrk.read(GOOD)
    assert (said.units, said.seconds, said.bad) == (14046, 2.0, 0)
    assert said.p50 == pytest.approx(8.36e6)
    assert said.p99 == pytest.approx(1.05e9)


def test_what_is_not_2xx_is_bad() -> None:
    assert wrk.read(GOOD + "  Non-2xx or 3xx responses: 12\n").bad == 12


def test_lost_connections_are_bad() -> None:
    assert wrk.read(GOOD + "  Socket errors: connect 1, read 2, write 3, timeout 4\n").bad == 10


def test_anything_else_is_no_result() -> None:
    with pytest.raises(ValueError, match="not what wrk prints"):
        wrk.read("unable to connect to 127.0.0.1:8080 Connection refused")
