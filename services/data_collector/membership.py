"""This replica's membership in the consumer group by which replicas share the symbols.

The group subscribes to the topic of prices: whoever is assigned a partition collects the symbols
whose messages go there, so each partition has one writer. Of a new partition the last messages are
read, so that the first tick of its symbols can be judged by them; nothing is ever committed.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from kafka import TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError, UnknownTopicOrPartitionError

from common.clock import Clock
from common.kafka import partition_of
from common.lifecycle import Deadline
from common.log import get_logger
from data_collector.past import read_tail

__all__ = ["GROUP_OPTIONS", "Membership", "SharingAssignor"]

GROUP_OPTIONS = {
    "heartbeat_interval_ms": 300,  # at the next one the others hear of a replica that leaves
    "max_poll_interval_ms": 10_000,
    "auto_offset_reset": "latest",
    "allow_auto_create_topics": False,
}
_POLL_MS = 100
_RETRY_S = 0.5
_PATIENCE_S = 3.0  # of the only member, until it is assigned something
_TAIL_S = 0.4  # at most, of the 2 s of a hand-over

_log = get_logger(__name__)


class SharingAssignor(CooperativeStickyAssignor):  # type: ignore[misc]
    """Cooperative and sticky: only what moves changes hands. Tells each completed assignment."""

    def __init__(self) -> None:
        super().__init__()
        self._members: int | None = None
        self.alone = False
        self.news: frozenset[int] | None = None

    def assign(self, cluster: Any, members: Any) -> Any:
        """Assign as the leader of the group, which alone learns how many members there are."""
        self._members = len(members)
        return super().assign(cluster, members)

    def on_assignment(self, assignment: Any, generation: Any) -> None:
        """Take note of what this member has from now on, also if that is nothing."""
        super().on_assignment(assignment, generation)
        self.alone, self._members = self._members == 1, None
        self.news = frozenset(partition for _, partition in assignment.partitions())


class Connect(Protocol):
    """Makes a consumer whose only assignor is the given one; raises `KafkaError`."""

    def __call__(self, assignor: SharingAssignor) -> Any:
        """Return the consumer."""
        ...


class Membership:
    """Keeps a consumer in the group, in a thread of its own.

    ``on_share`` is called from that thread with the symbols of each completed assignment, and with
    the last messages of what is new in it. While the group cannot be reached it is not called: what
    was assigned stays.
    """

    def __init__(
        self,
        connect: Connect,
        topic: str,
        symbols: Iterable[str],
        on_share: Callable[[frozenset[str], Sequence[bytes]], None],
        clock: Clock,
    ) -> None:
        self._connect = connect
        self._topic = topic
        self._symbols = tuple(symbols)
        self._on_share = on_share
        self._clock = clock
        self._stop = threading.Event()
        self._deadline = Deadline(clock, 0)
        self._thread = threading.Thread(target=self._run, name="membership", daemon=True)
        self.beat_at = clock.monotonic()
        self.joined = False
        self.alone = False
        self.last_error = ""

    def start(self) -> None:
        """Begin to join."""
        self.beat_at = self._clock.monotonic()
        self._thread.start()

    @property
    def started(self) -> bool:
        """Return whether `start` was called."""
        return self._thread.ident is not None

    def leave(self, deadline: Deadline) -> None:
        """Leave the group, so that the others take over at once, and end; at most ``deadline``."""
        self._deadline = deadline
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(deadline.remaining())

    def _run(self) -> None:
        while not self._stop.is_set():
            self.beat_at = self._clock.monotonic()
            assignor = SharingAssignor()
            try:
                consumer = self._connect(assignor)
                try:
                    self._take_part(consumer, assignor)
                finally:
                    self._close(consumer)
            except Exception as error:  # noqa: BLE001 - the thread's edge
                self._note_failure(error)
            self._stop.wait(_RETRY_S)

    def _take_part(self, consumer: Any, assignor: SharingAssignor) -> None:
        consumer.subscribe([self._topic])
        had: frozenset[int] = frozenset()
        patience = Deadline(self._clock, _PATIENCE_S)
        while not self._stop.is_set():
            self.beat_at = self._clock.monotonic()
            consumer.poll(timeout_ms=_POLL_MS)
            if had or not self.alone:
                patience = Deadline(self._clock, _PATIENCE_S)
            elif not patience.remaining():  # shared before the topic was known, and left at that
                raise UnknownTopicOrPartitionError(f"nothing of {self._topic} to the only member")
            partitions, assignor.news = assignor.news, None
            if partitions is not None:
                consumer.pause(*consumer.assignment())  # a member, not a reader
                self.alone = assignor.alone
                self._tell(consumer, partitions, partitions - had)
                had = partitions

    def _tell(self, consumer: Any, partitions: frozenset[int], new: frozenset[int]) -> None:
        count = len(consumer.partitions_for_topic(self._topic) or ())
        if not count:
            raise UnknownTopicOrPartitionError(f"{self._topic} was not there yet")
        places = {symbol: partition_of(symbol.encode(), count) for symbol in self._symbols}
        mine = frozenset(symbol for symbol, place in places.items() if place in partitions)
        self.joined, self.last_error = True, ""
        _log.info("assigned by the group", partitions=sorted(partitions), symbols=sorted(mine))
        self._on_share(mine, self._read(consumer, new.intersection(places.values())))

    def _read(self, consumer: Any, partitions: Iterable[int]) -> Sequence[bytes]:
        """Return the last messages; none where Kafka does not give them in time."""
        places = [TopicPartition(self._topic, number) for number in sorted(partitions)]
        try:
            return read_tail(consumer, places, _TAIL_S, self._clock) if places else ()
        except KafkaError as error:
            _log.warning("no last prices to judge the first by", why=str(error))
            return ()

    def _close(self, consumer: Any) -> None:
        self.joined = self.alone = False
        with suppress(KafkaError):
            consumer.close(timeout_ms=max(100, round(self._deadline.remaining() * 1000)))

    def _note_failure(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self.last_error:
            _log.error("the group cannot be joined, trying again", why=text)
        self.last_error = text
