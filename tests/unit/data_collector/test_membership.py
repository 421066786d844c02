"""The member's thread against a consumer that behaves as told."""

import threading
import time
from collections.abc import Collection, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError
from structlog.testing import capture_logs

from common.clock import SystemClock
from common.kafka import partition_of
from common.lifecycle import Deadline
from data_collector.membership import Membership, SharingAssignor

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD")


class FakeConsumer:
    """Assigns what it is told to, one after the other, then nothing more.

    A partition holds the messages ``first`` to ``end``: each says its place. With ``first`` None,
    the partitions' leader does not answer.
    """

    def __init__(
        self,
        assignor: SharingAssignor,
        assignments: Iterable[set[int]],
        first: int | None = 0,
        end: int = 0,
    ) -> None:
        self.assignor = assignor
        self.coming = iter(assignments)
        self.first = first
        self.end = end
        self.forbidden = False
        self.owned: set[int] = set()
        self.paused: set[int] = set()
        self.at: dict[int, int] = {}
        self.closed = False
        self.quiet = threading.Event()

    def subscribe(self, topics: list[str]) -> None:
        assert topics == ["prices"]

    def poll(self, timeout_ms: int) -> dict[Any, Any]:
        reading = {n: at for n, at in self.at.items() if n not in self.paused and at < self.end}
        if reading and self.forbidden:
            raise TopicAuthorizationFailedError("prices")
        if reading:
            return {TopicPartition("prices", n): self.fetch(n) for n in reading}
        following = next(self.coming, None)
        if following is None:
            self.quiet.wait(timeout_ms / 1000)
        else:
            self.owned = following
            self.assignor.news = frozenset(following)
        return {}

    def fetch(self, number: int) -> list[Any]:
        """Return a few messages, as a broker does."""
        offsets = range(self.at[number], min(self.at[number] + 100, self.end))
        self.at[number] = offsets.stop
        return [SimpleNamespace(offset=at, value=b"%d/%d" % (number, at)) for at in offsets]

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("prices", number) for number in self.owned}

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused |= {place.partition for place in partitions}

    def resume(self, *partitions: TopicPartition) -> None:
        self.paused -= {place.partition for place in partitions}

    def seek(self, place: TopicPartition, offset: int) -> None:
        assert place in self.assignment()
        self.at[place.partition] = offset

    def end_offsets(
        self, places: Collection[TopicPartition], timeout_ms: int
    ) -> dict[TopicPartition, int]:
        if self.first is None:
            raise KafkaTimeoutError(f"no answer within {timeout_ms} ms")
        return dict.fromkeys(places, self.end)

    def beginning_offsets(
        self, places: Collection[TopicPartition], timeout_ms: int
    ) -> dict[TopicPartition, int]:
        assert timeout_ms > 0
        assert self.first is not None
        return dict.fromkeys(places, self.first)

    def partitions_for_topic(self, topic: str) -> set[int]:
        assert topic == "prices"
        return {0, 1, 2}

    def close(self, timeout_ms: int) -> None:
        assert timeout_ms > 0
        self.closed = True


def test_each_assignment_is_told_as_symbols() -> None:
    told: list[frozenset[str]] = []
    enough = threading.Event()
    consumers: list[FakeConsumer] = []

    def connect(assignor: SharingAssignor) -> FakeConsumer:
        consumers.append(FakeConsumer(assignor, [{0, 1, 2}, {1}, set()]))
        return consumers[-1]

    def hear(symbols: frozenset[str], last: Sequence[bytes]) -> None:
        assert not last
        told.append(symbols)
        if len(told) == 3:
            enough.set()

    membership = Membership(connect, "prices", SYMBOLS, hear, SystemClock())
    membership.start()
    assert enough.wait(10)
    assert consumers[0].paused >= consumers[0].owned
    membership.leave(Deadline(SystemClock(), 5))
    assert consumers[0].closed
    mine = frozenset(s for s in SYMBOLS if partition_of(s.encode(), 3) == 1)
    assert told == [frozenset(SYMBOLS), mine, frozenset()]


def test_the_only_member_that_was_given_nothing_joins_again() -> None:
    told: list[frozenset[str]] = []
    enough = threading.Event()
    consumers: list[FakeConsumer] = []

    def connect(assignor: SharingAssignor) -> FakeConsumer:
        assignor.alone = not consumers  # the topic was made while the group shared it
        consumers.append(FakeConsumer(assignor, [{0, 1, 2}] if consumers else [set()]))
        return consumers[-1]

    def hear(symbols: frozenset[str], _last: Sequence[bytes]) -> None:
        told.append(symbols)
        if symbols:
            enough.set()

    membership = Membership(connect, "prices", SYMBOLS, hear, SystemClock())
    membership.start()
    assert enough.wait(10)
    assert consumers[0].closed
    membership.leave(Deadline(SystemClock(), 5))
    assert told == [frozenset(), frozenset(SYMBOLS)]


@pytest.mark.parametrize("first", [0, 650])
def test_of_a_new_partition_the_last_messages_are_told_once(first: int) -> None:
    told: list[Sequence[bytes]] = []
    enough = threading.Event()
    consumers: list[FakeConsumer] = []

    def connect(assignor: SharingAssignor) -> FakeConsumer:
        consumers.append(FakeConsumer(assignor, [{1}, {0, 1}, {1}], first, 700))
        return consumers[-1]

    def hear(_symbols: frozenset[str], last: Sequence[bytes]) -> None:
        told.append(last)
        if len(told) == 3:
            enough.set()

    membership = Membership(connect, "prices", SYMBOLS, hear, SystemClock())
    membership.start()
    assert enough.wait(10)
    membership.leave(Deadline(SystemClock(), 5))
    start = max(first, 700 - 500)
    assert told == [[b"%d/%d" % (n, at) for at in range(start, 700)] for n in (1, 0)] + [()]
    assert consumers[0].paused >= consumers[0].owned


@pytest.mark.parametrize("forbidden", [False, True], ids=["no answer", "forbidden"])
def test_where_kafka_does_not_give_the_last_messages_the_share_is_told_without(
    forbidden: bool,
) -> None:
    told: list[Sequence[bytes]] = []
    enough = threading.Event()

    def hear(_symbols: frozenset[str], last: Sequence[bytes]) -> None:
        told.append(last)
        enough.set()

    attempts: list[FakeConsumer] = []

    def connect(assignor: SharingAssignor) -> FakeConsumer:
        attempts.append(FakeConsumer(assignor, [{0}], 0 if forbidden else None, 10))
        attempts[-1].forbidden = forbidden
        return attempts[-1]

    membership = Membership(connect, "prices", SYMBOLS, hear, SystemClock())
    with capture_logs() as logs:
        membership.start()
        assert enough.wait(10)
        time.sleep(0.3)  # some turns more
        membership.leave(Deadline(SystemClock(), 5))
    assert told == [()]
    assert len(attempts) == 1  # still the same membership
    assert "no last prices to judge the first by" in [entry["event"] for entry in logs]


def test_a_group_that_cannot_be_reached_is_asked_again_and_nothing_is_told() -> None:
    attempts: list[int] = []
    joined = threading.Event()

    def connect(assignor: SharingAssignor) -> FakeConsumer:
        attempts.append(1)
        if len(attempts) < 3:
            raise KafkaTimeoutError("no broker")
        return FakeConsumer(assignor, [{0}])

    def hear(_symbols: frozenset[str], _last: Sequence[bytes]) -> None:
        assert len(attempts) == 3
        joined.set()

    with capture_logs() as logs:
        membership = Membership(connect, "prices", SYMBOLS, hear, SystemClock())
        membership.start()
        assert joined.wait(10)
        membership.leave(Deadline(SystemClock(), 5))
    assert [e["event"] for e in logs].count("the group cannot be joined, trying again") == 1


def _hear_nothing(_symbols: frozenset[str], _last: Sequence[bytes]) -> None:
    raise AssertionError


def test_leaving_what_was_never_joined() -> None:
    membership = Membership(lambda assignor: None, "prices", SYMBOLS, _hear_nothing, SystemClock())
    membership.leave(Deadline(SystemClock(), 1))
    assert not membership.started
