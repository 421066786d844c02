"""What one producer was given and has not acknowledged, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple

from kafka.future import Future

from common.clock import Clock
from common.kafka import partition_of
from data_collector.rejection import REJECTED
from data_collector.spool import Kind, Position, Record, Spool

__all__ = ["Sent", "Source", "Topics", "Window"]

_SIZE = 2_000  # records sent and not yet acknowledged

_partition_of = lru_cache(maxsize=1024)(partition_of)


class Topics(NamedTuple):
    """Where each kind of record goes."""

    ticks: str
    dead_letters: str

    def of(self, kind: Kind) -> str:
        """Return the topic of ``kind``."""
        return self.ticks if kind is Kind.TICK else self.dead_letters


@dataclass
class Source:
    """A spool and how far it was sent; ``on_empty`` is told once, then it is forgotten."""

    spool: Spool
    sent: Position
    on_empty: Callable[[], None] | None = None

    @property
    def has_more(self) -> bool:
        """Return whether there is something that was not sent."""
        return self.sent < self.spool.end


class Sent(NamedTuple):
    """A record on its way."""

    source: Source
    record: Record
    future: Any  # kafka's FutureRecordMetadata, which has no types
    at: float
    alone: bool  # in no batch with others


class Window:
    """Bounded; nothing leaves it before all that is older has left."""

    def __init__(
        self, producer: Any, topics: Topics, clock: Clock, on_answer: Callable[[], None]
    ) -> None:
        self._producer = producer
        self._topics = topics
        self._clock = clock
        self._on_answer = on_answer
        self._sent: deque[Sent] = deque()

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def oldest_at(self) -> float | None:
        """Return when the oldest was sent (monotonic)."""
        return self._sent[0].at if self._sent else None

    @property
    def has_answer(self) -> bool:
        """Return whether `take_answered` or `failed` has something."""
        return bool(self._sent) and self._sent[0].future.is_done

    @property
    def is_settled(self) -> bool:
        """Return whether the producer has nothing left that it might still send."""
        return all(sent.future.is_done for sent in self._sent)

    def room(self, *, singly: bool) -> int:
        """Return how many records may be sent; one at a time if ``singly``."""
        return max(0, (1 if singly else _SIZE) - len(self._sent))

    def send(self, sources: Iterable[Source], *, singly: bool) -> None:
        """Send what there is and what there is room for."""
        if not self.room(singly=singly):
            return
        before = len(self._sent)
        counts = {topic: len(self._producer.partitions_for(topic)) for topic in self._topics}
        for source in sources:
            for record in source.spool.read(source.sent, self.room(singly=singly)):
                self._sent.append(self._send(source, record, counts, alone=singly))
                source.sent = record.end
        if len(self._sent) > before:
            self._sent[-1].future.add_both(lambda _result: self._on_answer())

    def take_answered(self) -> list[Sent]:
        """Return and forget what was acknowledged, up to the first that was not."""
        done = list(takewhile(lambda sent: sent.future.succeeded(), self._sent))
        for _ in done:
            self._sent.popleft()
        return done

    @property
    def failed(self) -> Sent | None:
        """Return the oldest if it has failed: nothing behind it may be acknowledged."""
        oldest = self._sent[0] if self._sent else None
        return oldest if oldest and oldest.future.failed() else None

    def _send(
        self, source: Source, record: Record, counts: Mapping[str, int], *, alone: bool
    ) -> Sent:
        kind, key, value = record.entry
        topic, now = self._topics.of(kind), self._clock.monotonic()
        # The client would compute the partition anew for each record.
        partition = _partition_of(key, counts[topic])
        try:
            future = self._producer.send(topic, value, key, partition=partition)
        except REJECTED as error:  # by the client itself, before it was put into a batch
            return Sent(source, record, Future().failure(error), now, alone=True)
        return Sent(source, record, future, now, alone=alone)
