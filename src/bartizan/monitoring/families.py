"""The metrics that monitoring itself makes, one row each. Alerts may name these and what the servers count."""

from __future__ import annotations

from msgspec import Struct
from prometheus_client.metrics_core import Metric


class Family(Struct, frozen=True):
    name: str
    kind: str  # "gauge" | "counter"
    help: str


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("bartizan_server_ready", "gauge", "1 when this one of the nine servers takes work"),
        Family("bartizan_process_ready", "gauge", "1 when this process of ours says so itself"),
        Family("bartizan_scrape_seconds", "gauge", "how long the last look at everything took"),
        Family("bartizan_gateway_requests", "counter", "requests through the gateway, by class of status"),
        Family("bartizan_gateway_request_p99_seconds", "gauge", "99 of 100 requests of the last seconds were faster"),
        Family("bartizan_gateway_active_requests", "gauge", "requests under way in the gateway"),
        Family("bartizan_gateway_refused_tokens", "counter", "requests refused for their token"),
        Family("bartizan_gateway_ended", "counter", "requests refused because what they hang on was ended"),
        Family("bartizan_gateway_limited", "counter", "requests over a limit"),
        Family("bartizan_gateway_memory_bytes", "gauge", "memory that Envoy holds"),
        Family("bartizan_gateway_uptime_seconds", "gauge", "since Envoy started"),
        Family("bartizan_gateway_upstream_responses", "counter", "answers of the servers behind, by class of status"),
        Family("bartizan_database_transactions", "counter", "transactions, by how they ended"),
        Family("bartizan_database_connections", "gauge", "connections to the database"),
        Family("bartizan_database_bytes", "gauge", "size of the database"),
        Family("bartizan_database_deadlocks", "counter", "deadlocks"),
        Family("bartizan_database_cache_hit_share", "gauge", "share of blocks found in memory"),
        Family("bartizan_database_hot_share", "gauge", "share of updates of refresh families that were HOT"),
        Family("bartizan_database_oldest_transaction_seconds", "gauge", "age of the oldest open transaction"),
        Family("bartizan_cache_memory_bytes", "gauge", "memory that the cache uses"),
        Family("bartizan_cache_memory_limit_bytes", "gauge", "memory that it may use"),
        Family("bartizan_cache_keys", "gauge", "keys in the cache"),
        Family("bartizan_cache_commands", "counter", "commands that the cache has run"),
        Family("bartizan_cache_refused_writes", "counter", "writes refused because its memory is full"),
        Family("bartizan_jobs_waiting", "gauge", "jobs that wait, by kind"),
        Family("bartizan_jobs_oldest_seconds", "gauge", "age of the oldest waiting job, by kind"),
        Family("bartizan_jobs_parked", "gauge", "jobs that used up their attempts, by kind"),
        Family("bartizan_events_last_hour", "gauge", "security events of the last hour, by code"),
    )
}


class Collected:
    """Samples of one look, gathered by family."""

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}

    def add(self, name: str, value: float, **labels: str) -> None:
        """`name` without `_total`; it must be a row above."""
        family = FAMILIES[name]
        metric = self.metrics.get(name)
        if metric is None:
            metric = self.metrics[name] = Metric(name, family.help, family.kind)
        metric.add_sample(name + ("_total" if family.kind == "counter" else ""), labels, value)

    def merge(self, metric: Metric, process: str) -> None:
        """A family as a process exposes it: the same family of several processes becomes one, told apart by label."""
        ours = self.metrics.get(metric.name)
        if ours is None:
            ours = self.metrics[metric.name] = Metric(metric.name, metric.documentation, metric.type)
        for sample in metric.samples:
            ours.add_sample(sample.name, {**sample.labels, "process": process}, sample.value)

    def collect(self) -> list[Metric]:
        return list(self.metrics.values())

    def totals(self, family: str, **labels: str) -> dict[str, float]:
        """Sums of the family's counter samples that carry these labels, by process: each restarts by itself."""
        metric, sums = self.metrics.get(family), dict[str, float]()
        for sample in metric.samples if metric is not None else ():
            if sample.name in (family, f"{family}_total") and labels.items() <= sample.labels.items():
                process = sample.labels.get("process", "")
                sums[process] = sums.get(process, 0.0) + sample.value
        return sums
