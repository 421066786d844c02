"""Messages as they come, as server-sent events.

Kafka itself is the queue: a client that reads slowly is simply asked later, and one that falls far
behind is moved on and told so. Nothing is kept here for it.
"""

from collections.abc import Callable, Iterator, Mapping

import msgspec
from kafka import KafkaConsumer, TopicPartition

from common.clock import Clock
from common.health import Check
from kafka_monitor.payload import matches, show_message
from kafka_monitor.reading import written

__all__ = ["Tail"]

_POLL_MS = 500  # how long a stop may have to wait
_BATCH = 100
_MAX_BACKLOG = 1_000  # messages behind the end; beyond, a person could not follow anyway
_VALUE_BYTES = 64_000
_PING_S = 2.0  # shows us that the client has gone, and the client that we are there


class Tail:
    """An iterator of events for one client, over partitions from given offsets on."""

    def __init__(
        self,
        consumer: KafkaConsumer,
        topic: str,
        starts: Mapping[int, int],
        search: str,
        clock: Clock,
    ) -> None:
        self._consumer = consumer
        self._needle = search.casefold()
        self._clock = clock
        self._places = [TopicPartition(topic, index) for index in starts]
        consumer.assign(self._places)
        for place in self._places:
            consumer.seek(place, starts[place.partition])

    def events(self, stopping: Callable[[], bool], check: Callable[[], Check]) -> Iterator[bytes]:
        """Yield events until ``stopping``: messages, skipped, and kafka when it goes or comes."""
        yield b"retry: 1000\n\n"
        answers = True
        quiet_since = -_PING_S
        while not stopping():
            if check().ok != answers:
                answers = not answers
                yield self._event("kafka", {"ok": answers, "detail": check().detail})
            skipped = self._skip_backlog()
            if skipped:
                yield self._event("skipped", {"count": skipped})
            shown = self._read()
            if shown or self._clock.monotonic() - quiet_since > _PING_S:
                quiet_since = self._clock.monotonic()
                yield self._event("messages", shown)

    def _read(self) -> list[object]:
        polled = self._consumer.poll(timeout_ms=_POLL_MS, max_records=_BATCH)
        records = [record for batch in polled.values() for record in batch]
        records.sort(key=lambda each: (each.timestamp, each.partition, each.offset))
        return [
            show_message(each, _VALUE_BYTES)
            for each in records
            if not self._needle or matches(each, self._needle)
        ]

    def _skip_backlog(self) -> int:
        skipped = 0
        for place in self._places:
            end = self._consumer.highwater(place) or 0
            target = end - _BATCH
            position = self._position(place)
            if end - position > _MAX_BACKLOG:
                self._consumer.seek(place, target)
                skipped += target - position
        return skipped

    def _position(self, place: TopicPartition) -> int:
        return int(self._consumer.position(place, timeout_ms=0) or 0)

    def _event(self, kind: str, data: object) -> bytes:
        # The id lets a client that lost its connection, or its slot, go on where it was.
        positions = written({place.partition: self._position(place) for place in self._places})
        body = msgspec.json.encode(data).decode()
        return f"event: {kind}\nid: {positions}\ndata: {body}\n\n".encode()
