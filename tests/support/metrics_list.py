"""Every metric of every service, as the table of docs/metrics.md.

``python -m tests.support.metrics_list`` prints the table.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

__all__ = ["SERVICES", "Metric", "metrics", "table"]

# Which module of each service has its metrics.
SERVICES = {
    "data-collector": "data_collector.metrics",
    "bitcoin-forecast-app": "bitcoin_forecast_app.metrics",
    "web-app": "web_app.metrics",
    "exchange-simulator": "exchange_simulator.metrics",
    "kafka-ui": "kafka_monitor.application",
}
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


@dataclass(frozen=True)
class Metric:
    """One metric as its service declares it."""

    service: str
    name: str
    kind: str
    labels: tuple[str, ...]
    text: str

    @property
    def series(self) -> set[str]:
        """Return the names of its series."""
        return {self.name.removesuffix("_total") + suffix for suffix in _SUFFIXES[self.kind]}


def _declared(collectors: Iterator[Any], service: str) -> Iterator[Metric]:
    for collector in collectors:
        if isinstance(collector, MetricWrapperBase):
            (family,) = collector.describe()
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = tuple(collector._labelnames)
            yield Metric(service, name, family.type, labels, family.documentation.rstrip("."))


def metrics() -> list[Metric]:
    """Return what the services declare, by service and name."""
    found = []
    for service, module in SERVICES.items():
        before = set(REGISTRY._collector_to_names)
        loaded = import_module(module)
        if service == "bitcoin-forecast-app":
            registry = CollectorRegistry()
            loaded.Metrics(registry)
            declared = iter(registry._collector_to_names)
        else:
            owned = {id(value) for value in vars(loaded).values()}
            new = set(REGISTRY._collector_to_names) - before
            declared = (c for c in REGISTRY._collector_to_names if id(c) in owned or c in new)
        found += sorted(_declared(declared, service), key=lambda each: each.name)
    return found


def table() -> str:
    """Return the Markdown table."""
    lines = ["| service | metric | kind | labels | meaning |", "|---|---|---|---|---|"]
    for each in metrics():
        labels = ", ".join(f"`{label}`" for label in each.labels)
        text = each.text.replace("|", "\\|")
        lines.append(f"| {each.service} | `{each.name}` | {each.kind} | {labels} | {text} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
