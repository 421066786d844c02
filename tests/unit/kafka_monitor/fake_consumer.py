"""A consumer over lists of records."""

from collections.abc import Iterable

from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord


class FakeConsumer:
    def __init__(self, log: dict[TopicPartition, list[ConsumerRecord]] | None = None) -> None:
        self.log = log or {}
        self.positions: dict[TopicPartition, int] = {}
        self.closed = False
        self.unsubscribed = 0

    def assign(self, places: Iterable[TopicPartition]) -> None:
        self.positions = {place: self.positions.get(place, 0) for place in places}

    def seek(self, place: TopicPartition, offset: int) -> None:
        assert place in self.positions
        self.positions[place] = offset

    def position(self, place: TopicPartition, timeout_ms: int) -> int:
        return self.positions[place]

    def highwater(self, place: TopicPartition) -> int | None:
        return len(self.log.get(place, []))

    def poll(
        self, timeout_ms: int, max_records: int = 500
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        polled = {}
        for place, position in self.positions.items():
            batch = self.log.get(place, [])[position : position + max_records]
            if batch:
                polled[place] = batch
                self.positions[place] = position + len(batch)
                break
        return polled

    def unsubscribe(self) -> None:
        self.unsubscribed += 1

    def close(self, autocommit: bool, timeout_ms: int) -> None:
        assert not autocommit
        self.closed = True
