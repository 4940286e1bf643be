"""The meter: one family per thing, bounded labels, nothing global."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bartizan.model.meter import Meter
from bartizan.monitoring.meter import MAX_SERIES, OTHER, PrometheusMeter


def test_what_is_counted_can_be_read() -> None:
    meter = PrometheusMeter()
    port: Meter = meter
    port.count("requests", server="auth", status="200")
    port.count("requests", 2, server="auth", status="200")
    port.observe("request", 0.2, server="auth")
    port.set("waiting", 7)
    families = {family.name: family for family in text_string_to_metric_families(meter.render().decode())}
    assert families["bartizan_requests"].samples[0].value == 3
    assert families["bartizan_request_seconds"].type == "histogram"
    assert families["bartizan_waiting"].samples[0].value == 7


def test_two_meters_know_nothing_of_each_other() -> None:
    first, second = PrometheusMeter(), PrometheusMeter()
    first.count("requests")
    assert b"requests" not in second.render()


def test_a_flood_of_label_values_folds_into_one() -> None:
    meter = PrometheusMeter()
    for number in range(MAX_SERIES + 500):
        meter.count("requests", path=f"/{number}")
    (family,) = text_string_to_metric_families(meter.render().decode())
    assert len(family.samples) == MAX_SERIES + 1
    assert next(s.value for s in family.samples if s.labels["path"] == OTHER) == 500


def test_a_long_or_odd_value_is_one_line() -> None:
    meter = PrometheusMeter()
    meter.count("requests", path='x"\n' * 500)
    (family,) = text_string_to_metric_families(meter.render().decode())
    assert len(family.samples[0].labels["path"]) == 64


def test_label_names_do_not_change() -> None:
    meter = PrometheusMeter()
    meter.count("requests", server="auth")
    with pytest.raises(ValueError, match="label names"):
        meter.count("requests", status="200")
