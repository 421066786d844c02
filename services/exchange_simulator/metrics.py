"""The simulator's metrics: this list is the documentation."""

from prometheus_client import Counter, Gauge

__all__ = ["FAULTS", "REQUESTS", "STREAMS"]

REQUESTS = Counter(
    "exchange_simulator_requests", "Requests answered, by venue and status", ["venue", "status"]
)
FAULTS = Counter("exchange_simulator_faults", "Faults that struck a request", ["venue", "kind"])
STREAMS = Gauge("exchange_simulator_streams", "WebSockets that are open", ["venue"])
