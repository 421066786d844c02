"""Reads both topics once for the whole process: no group, no commits, from a while back on."""

import hashlib
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.partitioner.default import murmur2

from common.clock import Clock, to_micros
from common.errors import InvalidMessageError
from common.health import Check
from common.kafka import make_consumer
from common.log import get_logger
from common.wire import Prediction, Tick, decode, encode
from web_app import metrics
from web_app.live.event import Event, Kind
from web_app.live.hub import Hub
from web_app.settings import WebSettings

__all__ = ["KafkaReader"]

_log = get_logger(__name__)

_POLL_MS = 250
_PROBE_S = 5.0  # how often we ask for the ends of the topics: reachability and lag
_PROBE_TIMEOUT_MS = 3_000
_RETRY_S = (0.5, 10.0)  # first and longest pause before connecting again
_GIVE_UP_WAITING_S = 12.0  # then ready without Kafka: the store answers, but nobody can resume
_POSITIVE = 0x7FFFFFFF


@dataclass(frozen=True)
class _Source:
    kind: Kind
    topic: str


class KafkaReader:
    """A thread that feeds the hub, reconnects for ever, and goes on where it was."""

    def __init__(self, settings: WebSettings, hub: Hub, clock: Clock) -> None:
        self._settings = settings
        self._hub = hub
        self._clock = clock
        self._sources = (
            _Source("tick", settings.topic_prices),
            _Source("prediction", settings.topic_predictions),
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-reader", daemon=True)
        self._started = clock.monotonic()
        self._epoch: str | None = None
        self._positions: dict[TopicPartition, int] = {}
        self._homes: dict[TopicPartition, Kind] = {}
        self._targets: dict[TopicPartition, int] = {}
        self._caught_up = False
        self._fault: str | None = "not connected yet"
        self.ends: dict[TopicPartition, int] = {}

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop reading; waits for the thread at most ``timeout_s``."""
        self._stop.set()
        self._thread.join(timeout_s)

    def alive(self) -> Check:
        """Return whether the thread still runs."""
        return Check(self._thread.is_alive(), "reading" if self._thread.is_alive() else "ended")

    def ready(self) -> Check:
        """Return whether live data can be served, or Kafka is away and the store has to do."""
        if self._fault is None:
            if self._caught_up:
                return Check(True, "caught up")
            return Check(False, "reading what was published before the start")
        waited = self._clock.monotonic() - self._started
        return Check(waited > _GIVE_UP_WAITING_S, f"{self._fault}; history comes from the store")

    @property
    def connected(self) -> bool:
        """Return whether Kafka answers."""
        return self._fault is None

    @property
    def fault(self) -> str | None:
        """Return what is wrong with Kafka, for people, or None."""
        return self._fault

    def lag(self) -> int | None:
        """Return how many messages of the topics are not read yet, as of the last probe."""
        if self._fault is not None or not self.ends:
            return None
        return sum(max(0, end - self._positions.get(p, end)) for p, end in self.ends.items())

    def _run(self) -> None:
        pause = _RETRY_S[0]
        while not self._stop.is_set():
            try:
                with make_consumer(
                    self._settings.kafka_bootstrap_servers,
                    f"web-app-{self._settings.slot}",
                    auto_offset_reset="latest",
                ) as consumer:
                    self._begin(consumer)
                    pause = _RETRY_S[0]
                    self._read(consumer)
            except (KafkaError, OSError, ValueError, AssertionError) as error:
                self._note_fault(f"{type(error).__name__}: {error}")
            self._stop.wait(pause)
            pause = min(2 * pause, _RETRY_S[1])

    def _note_fault(self, fault: str) -> None:
        if self._fault != fault:
            _log.warning("cannot read from Kafka, trying again", error=fault)
        self._fault = fault

    def _begin(self, consumer: KafkaConsumer) -> None:
        """Find where each symbol's messages are and go to where we were, or some time back."""
        epoch, counts = self._describe()
        if epoch != self._epoch:
            self._positions.clear()
        self._homes = {
            TopicPartition(source.topic, _partition(symbol, counts[source.topic])): source.kind
            for source in self._sources
            for symbol in self._settings.symbols
        }
        partitions = list(self._homes)
        consumer.assign(partitions)
        self.ends = consumer.end_offsets(partitions, timeout_ms=_PROBE_TIMEOUT_MS)
        since = self._clock.now() - timedelta(seconds=self._settings.web_history_s)
        found = consumer.offsets_for_times(
            dict.fromkeys(partitions, to_micros(since) // 1000), timeout_ms=_PROBE_TIMEOUT_MS
        )
        for partition in partitions:
            start = found.get(partition)
            fresh = start.offset if start else self.ends[partition]
            self._positions[partition] = self._positions.get(partition, fresh)
            consumer.seek(partition, self._positions[partition])
        self._targets = dict(self.ends)
        first = {
            (symbol, source.kind): self._positions[
                TopicPartition(source.topic, _partition(symbol, counts[source.topic]))
            ]
            for source in self._sources
            for symbol in self._settings.symbols
        }
        self._hub.begin(epoch, first)
        self._epoch = epoch
        self._fault = None
        _log.info("reading from Kafka", epoch=epoch, partitions=len(partitions))

    def _describe(self) -> tuple[str, dict[str, int]]:
        """Return the name of this generation of the topics, and the partitions of each."""
        topics = [source.topic for source in self._sources]
        servers = list(self._settings.kafka_bootstrap_servers)
        with KafkaAdminClient(bootstrap_servers=servers) as admin:
            described: list[dict[str, Any]] = admin.describe_topics(topics)
        counts = {str(topic["name"]): len(topic["partitions"]) for topic in described}
        missing = [topic for topic in topics if not counts.get(topic)]
        if missing:
            raise ValueError(f"no topic {', '.join(missing)}")
        identity = sorted(
            (str(t["name"]), str(t.get("topic_id")), counts[t["name"]]) for t in described
        )
        text = repr((self._settings.feed, identity)).encode()
        return hashlib.sha256(text).hexdigest()[:8], counts

    def _read(self, consumer: KafkaConsumer) -> None:
        probe_due = self._clock.monotonic() + _PROBE_S
        while not self._stop.is_set():
            for partition, records in consumer.poll(timeout_ms=_POLL_MS).items():
                for record in records:
                    self._take(self._homes[partition], record.offset, record.value)
                self._positions[partition] = records[-1].offset + 1
            if not self._caught_up:
                self._caught_up = all(
                    self._positions[partition] >= end for partition, end in self._targets.items()
                )
            if self._clock.monotonic() >= probe_due:
                self.ends = consumer.end_offsets(list(self._homes), timeout_ms=_PROBE_TIMEOUT_MS)
                probe_due = self._clock.monotonic() + _PROBE_S

    def _take(self, kind: Kind, offset: int, payload: bytes | None) -> None:
        try:
            message = _decode(kind, payload or b"")
        except InvalidMessageError as error:
            metrics.invalid_messages.labels(kind).inc()
            _log.warning("message left out", kind=kind, offset=offset, error=str(error))
            return
        metrics.messages.labels(kind).inc()
        if message.feed == self._settings.feed:
            key = message.sequence if isinstance(message, Tick) else to_micros(message.issue_time)
            event = Event(kind, message.symbol, offset, key, message, encode(message))
            self._hub.publish(event)


def _decode(kind: Kind, payload: bytes) -> Tick | Prediction:
    return decode(payload, Tick) if kind == "tick" else decode(payload, Prediction)


def _partition(symbol: str, partitions: int) -> int:
    """Return the partition of a key as every Kafka client computes it."""
    return int((murmur2(symbol.encode()) & _POSITIVE) % partitions)
