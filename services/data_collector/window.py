"""What one producer was given and has not acknowledged, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec
from kafka.future import Future

from common.clock import Clock
from common.kafka import partition_of
from data_collector.rejection import REJECTED
from data_collector.spool import Kind, Position, Record, Spool

__all__ = ["Sent", "Source", "Topics", "Window"]

_SIZE = 2_000  # records sent and not yet acknowledged
# Each request costs the client as much as dozens of records, so what comes while others are on
# their way waits for them, unless it is so much, or has waited for so long.
_MUCH = 1 << 16  # bytes
_PATIENCE_S = 0.02

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

    def has_more(self, than: int = 0) -> bool:
        """Return whether more than so many bytes were not sent."""
        end = self.spool.end
        ahead = end.offset - self.sent.offset
        return ahead > than if end.segment == self.sent.segment else end > self.sent


class Sent(msgspec.Struct, frozen=True):
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
        self._sent_at = clock.monotonic()
        self.singly = False  # send one at a time

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

    def would_send(self, sources: Iterable[Source]) -> bool:
        """Return whether `send` should be called: there is something, and it is time for it."""
        if self._sent and (self.singly or len(self._sent) > _SIZE // 2):
            return False
        due = not self._sent or self._clock.monotonic() - self._sent_at >= _PATIENCE_S
        return any(source.has_more(0 if due else _MUCH) for source in sources)

    def send(self, sources: Iterable[Source]) -> None:
        """Send what there is and what there is room for."""
        before = len(self._sent)
        counts = {topic: len(self._producer.partitions_for(topic)) for topic in self._topics}
        most, now = 1 if self.singly else _SIZE, self._clock.monotonic()
        for source in sources:
            for record in source.spool.read(source.sent, max(0, most - len(self._sent))):
                self._sent.append(self._send(source, record, counts, now))
                source.sent = record.end
        if len(self._sent) > before:
            self._sent_at = now
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

    def _send(self, source: Source, record: Record, counts: Mapping[str, int], now: float) -> Sent:
        entry = record.entry
        topic = self._topics.of(entry.kind)
        # The client would compute the partition anew for each record.
        partition = _partition_of(entry.key, counts[topic])
        try:
            future = self._producer.send(topic, entry.value, entry.key, partition=partition)
        except REJECTED as error:  # by the client itself, before it was put into a batch
            return Sent(source, record, Future().failure(error), now, alone=True)
        return Sent(source, record, future, now, alone=self.singly)
