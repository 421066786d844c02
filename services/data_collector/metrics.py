"""The collector's metrics: this list is the documentation."""

from prometheus_client import Counter, Gauge, Histogram

__all__ = [
    "ACTIVE",
    "ADOPTED",
    "ASSIGNMENTS",
    "BREAKER_STATE",
    "CLOCK_SKEW",
    "DEAD_LETTERS",
    "DELIVERED",
    "DELIVERY_FAILURES",
    "DELIVERY_LATENCY",
    "EVENT_AGE",
    "LATE_TICKS",
    "MISSED_POLLS",
    "PENDING",
    "POLLS_IN_FLIGHT",
    "POLL_LATENESS",
    "REJECTED",
    "REQUESTS",
    "REQUEST_DURATION",
    "SOURCE_SWITCHES",
    "SPOOL_BYTES",
    "SPOOL_DROPPED",
    "SPOOL_LOST_BYTES",
    "SPOOL_RECORDS",
    "STREAM_DROPS",
    "STREAM_GAPS",
    "STREAM_MESSAGES",
    "SYMBOLS",
    "TICKS",
]

ACTIVE = Gauge("data_collector_active", "1 if this process collects, 0 if it stands by")
SYMBOLS = Gauge("data_collector_symbols", "Symbols that this process collects")
ASSIGNMENTS = Counter("data_collector_assignments", "Times the group told what is ours")
ADOPTED = Counter("data_collector_spools_adopted", "Spools of ended processes taken over")
TICKS = Counter("data_collector_ticks", "Valid ticks written to the spool", ["symbol", "venue"])
LATE_TICKS = Counter(
    "data_collector_late_ticks",
    "Of them those whose answer came after that of a later second",
    ["symbol", "venue"],
)
DEAD_LETTERS = Counter(
    "data_collector_dead_letters", "Answers and ticks refused, by reason", ["venue", "reason"]
)
MISSED_POLLS = Counter(
    "data_collector_missed_polls",
    "Scheduled ticks that were not collected: no venue answered, too many polls in flight, or the "
    "process did not run",
    ["reason"],
)
for _reason in ("no_answer", "in_flight", "not_running", "error"):
    MISSED_POLLS.labels(_reason)  # from 0 on: a rate sees the first one too
POLL_LATENESS = Histogram(
    "data_collector_poll_lateness_seconds",
    "How long after its schedule a poll started",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1),
)
POLLS_IN_FLIGHT = Gauge("data_collector_polls_in_flight", "Polls that wait for an answer")
SOURCE_SWITCHES = Counter(
    "data_collector_source_switches",
    "Times that a symbol's ticks began to come from this venue instead of another",
    ["symbol", "venue"],
)
REQUESTS = Counter(
    "data_collector_requests",
    "Requests to venues, by outcome: ok, retry, back_off, refused, unsupported, answer",
    ["venue", "outcome"],
)
REQUEST_DURATION = Histogram(
    "data_collector_request_duration_seconds",
    "How long a venue took to answer",
    ["venue"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
BREAKER_STATE = Gauge(
    "data_collector_breaker_state", "0 closed, 1 probing, 2 open, 3 refused for good", ["venue"]
)
EVENT_AGE = Gauge(
    "data_collector_event_age_seconds", "Receive time minus event time of the last tick", ["venue"]
)
SPOOL_RECORDS = Gauge("data_collector_spool_records", "Records not yet acknowledged by Kafka")
SPOOL_BYTES = Gauge("data_collector_spool_bytes", "Size of the spool on disk")
SPOOL_DROPPED = Counter(
    "data_collector_spool_dropped", "Records dropped unsent, oldest first, as there was no room"
)
SPOOL_LOST_BYTES = Counter(
    "data_collector_spool_lost_bytes", "Bytes in the spool that were no whole record at recovery"
)
PENDING = Gauge("data_collector_unspooled", "Records in memory, as the disk takes none")
DELIVERED = Counter("data_collector_delivered", "Records acknowledged by Kafka", ["topic"])
REJECTED = Counter("data_collector_rejected", "Records that Kafka rejected for good")
DELIVERY_FAILURES = Counter("data_collector_delivery_failures", "Producers given up for a new one")
DELIVERY_LATENCY = Histogram(
    "data_collector_delivery_latency_seconds",
    "From sending to Kafka's acknowledgement",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 10, 60),
)
STREAM_MESSAGES = Counter(
    "data_collector_stream_messages", "Messages of streams: data, alive, refused", ["venue", "kind"]
)
STREAM_DROPS = Counter(
    "data_collector_stream_drops", "Connections that ended and were made anew", ["venue"]
)
STREAM_GAPS = Counter(
    "data_collector_stream_gaps", "Missing trades seen, each ends its connection", ["venue"]
)
CLOCK_SKEW = Gauge(
    "data_collector_clock_skew_seconds",
    "How far the venue's clock is ahead of ours, at least (from the freshest of the last ticks)",
    ["venue"],
)
