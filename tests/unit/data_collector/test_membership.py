"""The member's thread against a consumer that behaves as told."""

import threading
from collections.abc import Iterable
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError
from structlog.testing import capture_logs

from common.clock import SystemClock
from common.kafka import partition_of
from common.lifecycle import Deadline
from data_collector.membership import Membership, SharingAssignor

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD")


class FakeConsumer:
    """Assigns what it is told to, one after the other, then nothing more."""

    def __init__(self, assignor: SharingAssignor, assignments: Iterable[set[int]]) -> None:
        self.assignor = assignor
        self.coming = iter(assignments)
        self.owned: set[int] = set()
        self.paused: set[int] = set()
        self.closed = False
        self.quiet = threading.Event()

    def subscribe(self, topics: list[str]) -> None:
        assert topics == ["prices"]

    def poll(self, timeout_ms: int) -> dict[Any, Any]:
        following = next(self.coming, None)
        if following is None:
            self.quiet.wait(timeout_ms / 1000)
        else:
            self.owned = following
            self.assignor.news = frozenset(following)
        return {}

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("prices", number) for number in self.owned}

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused = {place.partition for place in partitions}

    def partitions_for_topic(self, topic: str) -> set[int]:
        assert topic == "prices"
        return {0, 1, 2}

    def close(self, timeout_ms: int) -> None:
        assert timeout_ms > 0
        self.closed = True


def test_each_assignment_is_told_as_symbols_and_nothing_is_read() -> None:
    told: list[frozenset[str]] = []
    enough = threading.Event()
    consumers: list[FakeConsumer] = []

    def connect(assignor: SharingAssignor) -> FakeConsumer:
        consumers.append(FakeConsumer(assignor, [{0, 1, 2}, {1}, set()]))
        return consumers[-1]

    def hear(symbols: frozenset[str]) -> None:
        told.append(symbols)
        if len(told) == 3:
            enough.set()

    membership = Membership(connect, "prices", SYMBOLS, hear, SystemClock())
    membership.start()
    assert enough.wait(10)
    assert consumers[0].paused == consumers[0].owned
    membership.leave(Deadline(SystemClock(), 5))
    assert consumers[0].closed
    mine = frozenset(s for s in SYMBOLS if partition_of(s.encode(), 3) == 1)
    assert told == [frozenset(SYMBOLS), mine, frozenset()]


def test_a_group_that_cannot_be_reached_is_asked_again_and_nothing_is_told() -> None:
    attempts: list[int] = []
    joined = threading.Event()

    def connect(assignor: SharingAssignor) -> FakeConsumer:
        attempts.append(1)
        if len(attempts) < 3:
            raise KafkaTimeoutError("no broker")
        return FakeConsumer(assignor, [{0}])

    def hear(_symbols: frozenset[str]) -> None:
        assert len(attempts) == 3
        joined.set()

    with capture_logs() as logs:
        membership = Membership(connect, "prices", SYMBOLS, hear, SystemClock())
        membership.start()
        assert joined.wait(10)
        membership.leave(Deadline(SystemClock(), 5))
    assert [e["event"] for e in logs].count("the group cannot be joined, trying again") == 1


def test_leaving_what_was_never_joined() -> None:
    membership = Membership(lambda assignor: None, "prices", SYMBOLS, print, SystemClock())
    membership.leave(Deadline(SystemClock(), 1))
    assert not membership.started
