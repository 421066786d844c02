"""The simulator's metrics: this list is the documentation."""

from prometheus_client import Counter

__all__ = ["FAULTS", "REQUESTS"]

REQUESTS = Counter(
    "exchange_simulator_requests", "Requests answered, by venue and status", ["venue", "status"]
)
FAULTS = Counter("exchange_simulator_faults", "Faults that struck a request", ["venue", "kind"])
