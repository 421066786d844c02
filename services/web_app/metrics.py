"""Prometheus metrics of the web application: the one list of their names."""

from prometheus_client import Counter, Gauge, Histogram

__all__ = [
    "delivery",
    "invalid_messages",
    "max_streams",
    "messages",
    "requests",
    "resets",
    "streams",
]

messages = Counter("web_messages_total", "Messages read from Kafka.", ["kind"])
invalid_messages = Counter("web_invalid_messages_total", "Messages that no schema fits.", ["kind"])
requests = Histogram(
    "web_request_seconds",
    "Time to answer, streams excluded.",
    ["route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
streams = Gauge("web_streams", "Open event streams.")
max_streams = Gauge("web_max_streams", "How many event streams may be open.")
resets = Counter("web_stream_resets_total", "Streams told to start anew.")
delivery = Histogram(
    "web_delivery_seconds",
    "From a tick's receive time to the client's socket.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
