"""The meter (design §1, row 9): counts in a registry that somebody holds, never in a global one.

One family per thing for all nine servers: the label `server` comes from the process, the rest from the caller.
Labels are bounded. A value from outside can be anything, so after `MAX_SERIES` combinations a family folds new
ones into `other`: a flood of odd values costs a line in the scrape, not the memory of the process.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest

MAX_SERIES = 1000
MAX_VALUE = 64
MAX_KNOWN = 2000  # sets of labels whose counter is found by one look
OTHER = "other"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

disable_created_metrics()  # type: ignore[no-untyped-call] # a "_created" gauge beside every counter is noise


class PrometheusMeter:
    """Implements `model.meter.Meter` over one `CollectorRegistry`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry(auto_describe=False)
        self._families: dict[str, _Family] = {}
        self._known: dict[tuple[object, ...], Any] = {}
        self._lock = Lock()

    def count(self, name: str, /, amount: float = 1, **labels: str) -> None:
        child = self._known.get((name, *labels.items()))
        if child is None:
            child = self._remember(name, labels, self._family(f"bartizan_{name}", Counter, labels))
        child.inc(amount)

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        child = self._known.get((name, *labels.items()))
        if child is None:
            child = self._remember(name, labels, self._family(f"bartizan_{name}_seconds", _histogram, labels))
        child.observe(seconds)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        self._family(f"bartizan_{name}", Gauge, labels).child(labels).set(value)

    def render(self) -> bytes:
        """The registry in the Prometheus text format."""
        return generate_latest(self.registry)

    def _remember(self, name: str, labels: dict[str, str], family: _Family) -> Any:
        """The way by the family checks names and bounds; once a set of labels is enough. A name is of one kind."""
        child = family.child(labels)
        if len(self._known) < MAX_KNOWN:
            self._known[(name, *labels.items())] = child
        return child

    def _family(self, name: str, make: Callable[..., Any], labels: dict[str, str]) -> _Family:
        family = self._families.get(name)
        if family is None:
            with self._lock:
                family = self._families.get(name)
                if family is None:
                    family = _Family(make, name, tuple(sorted(labels)), self.registry)
                    self._families[name] = family
        return family


class _Family:
    """One metric with the label names of its first use; more label sets than `MAX_SERIES` become `other`."""

    def __init__(
        self, make: Callable[..., Any], name: str, label_names: tuple[str, ...], registry: CollectorRegistry
    ) -> None:
        self._metric = make(name, name.replace("_", " "), label_names, registry=registry)
        self._names = label_names
        self._children: dict[tuple[str, ...], Any] = {}

    def child(self, labels: dict[str, str]) -> Any:
        if tuple(sorted(labels)) != self._names:
            raise ValueError(f"a metric keeps its label names: {self._names}, not {tuple(sorted(labels))}")
        values = tuple(str(labels[name])[:MAX_VALUE] for name in self._names)
        found = self._children.get(values)
        if found is not None:
            return found
        if len(self._children) >= MAX_SERIES:
            values = (OTHER,) * len(self._names)
        found = self._metric.labels(*values) if self._names else self._metric
        self._children[values] = found
        return found


def _histogram(name: str, text: str, label_names: tuple[str, ...], *, registry: CollectorRegistry) -> Histogram:
    return Histogram(name, text, label_names, registry=registry, buckets=BUCKETS)
