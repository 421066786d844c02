"""Every metric of the forecaster, documented by its help text."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Metrics"]

_LATENCY_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Metrics:
    """The metrics, registered at construction; one object for each process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"forecast_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"forecast_{name}", text, labels, registry=registry)

        self.ticks = counter("ticks", "Ticks taken from the topic, stored or known already")
        self.predictions = counter("predictions", "Predictions stored and published")
        self.scores = counter("scores", "Outcomes scored", "horizon_s")
        self.unscored = gauge("unscored", "Forecasts given up unscored since the start", "reason")
        self.ignored = gauge("ignored", "Ticks without a forecast since the start", "reason")
        self.invalid = counter("invalid_messages", "Messages refused as no valid tick")
        self.dead_letters = counter(
            "dead_letters", "Refused messages sent to the dead-letter topic"
        )
        self.restarts = counter(
            "worker_restarts", "Times the loop reloaded its state after an error"
        )
        self.publish_retries = counter("publish_retries", "Publications tried again")
        self.latency = Histogram(
            "forecast_latency_seconds",
            "From a tick's arrival here to its prediction's acknowledgement by Kafka",
            buckets=_LATENCY_S,
            registry=registry,
        )
        self.commit_latency = Histogram(
            "forecast_commit_seconds",
            "Duration of the database transaction of a batch of ticks",
            buckets=_LATENCY_S,
            registry=registry,
        )
        self.lag = gauge("lag_messages", "Ticks on the topic not taken yet, all partitions")
        self.active = gauge("active", "1 where this process is the active one, 0 as standby")
        self.crps = gauge(
            "crps_skill",
            "1 - CRPS / CRPS of the reference over the rolling window; negative is worse",
            *("feed", "symbol", "horizon_s", "reference", "window"),
        )
        self.training_runs = counter("training_runs", "Training runs ended", "result")
        for result in ("promoted", "refused", "too_little", "busy", "failed"):
            self.training_runs.labels(result)  # from 0 on: a rate sees the first one too
        self.training_seconds = gauge("training_seconds", "Duration of the last training run")
