"""The topics: ticks in by assigned partitions, predictions and dead letters out."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from bitcoin_forecast_app.metrics import Metrics
from common.log import get_logger

__all__ = ["Message", "Publisher", "TickSource"]

_POLL_MS = 100  # bounds the reaction to a stop
_MAX_RECORDS = 256
_ACK_S = 7.0  # above the producer's own delivery timeout
_RETRY_S = 0.5

_log = get_logger(__name__)


class TickSource:
    """Reads all partitions of one topic from given offsets; one thread only.

    It connects when first used, which blocks for seconds while Kafka is away: look first.
    """

    def __init__(self, connect: Callable[[], KafkaConsumer], topic: str) -> None:
        self._connect = connect
        self._topic = topic
        self._client: KafkaConsumer | None = None
        self._assigned: frozenset[int] = frozenset()

    @property
    def _consumer(self) -> KafkaConsumer:
        if self._client is None:
            self._client = self._connect()
        return self._client

    @property
    def assigned(self) -> frozenset[int]:
        """Return the partitions that are read."""
        return self._assigned

    def warm(self) -> None:
        """Connect, so that the first tick after a take-over is not late."""
        try:
            _ = self._consumer
        except KafkaError as error:
            _log.warning("consumer not ready yet", error=str(error))

    def follow(self, partitions: Iterable[int], offsets: Mapping[int, int]) -> None:
        """Read ``partitions`` from ``offsets``, from the beginning where there is none."""
        self._assigned = frozenset(partitions)
        named = {index: TopicPartition(self._topic, index) for index in sorted(self._assigned)}
        self._consumer.assign(list(named.values()))
        for index, partition in named.items():
            if index in offsets:
                self._consumer.seek(partition, offsets[index])
            else:
                self._consumer.seek_to_beginning(partition)

    def poll(self) -> list[Any]:
        """Return the records that came within a tenth of a second, in order by partition."""
        batches = self._consumer.poll(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
        return [record for records in batches.values() for record in records]

    def committed(self, partition: int) -> int | None:
        """Return the offset that Kafka holds for the group."""
        found = self._consumer.committed(TopicPartition(self._topic, partition), timeout_ms=2_000)
        return None if found is None else int(found)

    def acknowledge(self, offsets: Mapping[int, int], *, wait: bool = False) -> None:
        """Show Kafka how far the group is; nothing rests on it but tools that display the lag."""
        if not offsets or self._client is None:
            return
        named = {
            TopicPartition(self._topic, index): OffsetAndMetadata(offset, "", -1)
            for index, offset in offsets.items()
        }
        if wait:
            self._consumer.commit(named, timeout_ms=1_000)
        else:
            self._consumer.commit_async(named)

    def close(self) -> None:
        """Leave."""
        client, self._client = self._client, None
        if client is not None:
            client.close(timeout_ms=1_000)


@dataclass(frozen=True, slots=True)
class Message:
    """One message to publish."""

    topic: str
    key: bytes
    value: bytes


class Publisher:
    """Publishes in order and returns when Kafka has acknowledged everything."""

    def __init__(self, connect: Callable[[], KafkaProducer], metrics: Metrics) -> None:
        self._connect = connect
        self._metrics = metrics
        self._producer: KafkaProducer | None = None

    def warm(self, topics: Sequence[str]) -> None:
        """Connect and learn where ``topics`` live, so that the first message is not late.

        Does nothing where that was done already.
        """
        if self._producer is not None:
            return
        try:
            producer = self._producer = self._connect()
            for topic in topics:
                producer.partitions_for(topic)
        except KafkaError as error:
            _log.warning("producer not ready yet", error=str(error))

    def publish(
        self, messages: Sequence[Message], stop: threading.Event, beat: Callable[[], None]
    ) -> bool:
        """Publish until acknowledged; False where ``stop`` came first (a restart repeats them)."""
        waiting = list(messages)
        while waiting:
            beat()
            waiting = self._attempt(waiting)
            if waiting:
                self._metrics.publish_retries.inc()
                if stop.wait(_RETRY_S):
                    return False
        return True

    def _attempt(self, messages: list[Message]) -> list[Message]:
        """Return the messages that were not acknowledged, from the first failure on."""
        done = 0
        try:
            self._producer = self._producer or self._connect()
            futures = [
                self._producer.send(message.topic, message.value, key=message.key)
                for message in messages
            ]
            for future in futures:
                future.get(timeout=_ACK_S)
                done += 1
        except KafkaError as error:
            _log.warning("publication failed, trying again", error=repr(error))
            self.close(0.0)  # a new producer: an expired batch leaves holes in the old one's order
        return messages[done:]

    def close(self, timeout_s: float = 1.0) -> None:
        """Close the producer; everything published was acknowledged already."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=timeout_s)
