"""Delivery against a producer that behaves as told: order, no loss, no early acknowledgement."""

import threading
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from kafka.future import Future
from structlog.testing import capture_logs

from common.clock import SystemClock
from common.lifecycle import Deadline
from common.wire import DeadLetter, decode
from data_collector.delivery import Delivery, Topics
from data_collector.spool import Entry, Kind, Spool, SpoolOptions

Metadata = namedtuple("Metadata", "topic partition offset")


class FakeBroker:
    """Keeps what producers send; can refuse connections, hold back or fail acknowledgements."""

    def __init__(self) -> None:
        self.stored: list[bytes] = []
        self.topics: list[str] = []
        self.producers = 0
        self.refuse = False
        self.hold = False
        self.fail_after: int | None = None
        self.held: list[Callable[[], object]] = []
        self.futures: list[Future] = []
        self.breaks = False

    def make_producer(self) -> Any:
        if self.refuse:
            raise KafkaTimeoutError("no broker")
        self.producers += 1
        return FakeProducer(self)


class FakeProducer:
    def __init__(self, broker: FakeBroker) -> None:
        self.broker = broker
        self.failed = False
        self.rejected = False

    def partitions_for(self, _topic: str) -> set[int]:
        return {0}

    def send(self, topic: str, value: bytes, key: bytes, partition: int) -> Future:
        future = Future()
        broker = self.broker
        if broker.breaks:
            broker.breaks = False
            raise KafkaTimeoutError("no metadata")
        broker.futures.append(future)
        self.rejected = self.rejected or value == b"poison"
        if self.rejected:  # and with it the whole batch
            future.failure(MessageSizeTooLargeError("too large"))
            return future
        self.failed = self.failed or broker.fail_after == len(broker.stored)
        if self.failed:
            broker.fail_after = None
            future.failure(KafkaError("lost"))
            return future
        broker.stored.append(value)
        broker.topics.append(topic)
        metadata = Metadata(topic, 0, len(broker.stored) - 1)
        if broker.hold:
            broker.held.append(lambda: future.success(metadata))
        else:
            future.success(metadata)
        return future

    def close(self, timeout: float) -> None:
        assert timeout >= 0


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(SpoolOptions(tmp_path, segment_bytes=4096), SystemClock())


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def start(broker: FakeBroker, spool: Spool) -> Delivery:
    topics = Topics("prices", "dlq")
    delivery = Delivery(broker.make_producer, topics, SystemClock(), on_fatal=threading.Event().set)
    delivery.start()
    delivery.add(spool)
    return delivery


def fill(spool: Spool, first: int, count: int) -> list[bytes]:
    values = [b"value %d" % number for number in range(first, first + count)]
    for value in values:
        spool.append(Entry(Kind.TICK, b"BTC-USD", value))
    return values


def test_delivers_in_order_what_was_left_and_what_comes(broker: FakeBroker, spool: Spool) -> None:
    values = fill(spool, 0, 500)
    delivery = start(broker, spool)
    values += fill(spool, 500, 500)
    delivery.wake()
    eventually(lambda: spool.pending == 0)
    assert broker.stored == values
    delivery.stop(Deadline(SystemClock(), 5))


def test_each_kind_goes_to_its_topic(broker: FakeBroker, spool: Spool) -> None:
    fill(spool, 0, 1)
    spool.append(Entry(Kind.DEAD_LETTER, b"BTC-USD", b"bad"))
    delivery = start(broker, spool)
    eventually(lambda: spool.pending == 0)
    assert broker.topics == ["prices", "dlq"]
    delivery.stop(Deadline(SystemClock(), 5))


def test_nothing_leaves_the_spool_before_the_acknowledgement(
    broker: FakeBroker, spool: Spool
) -> None:
    broker.hold = True
    fill(spool, 0, 10)
    delivery = start(broker, spool)
    eventually(lambda: len(broker.stored) == 10)
    assert spool.pending == 10
    for acknowledge in broker.held[:4]:
        acknowledge()
    eventually(lambda: spool.pending == 6)
    # An acknowledgement out of turn moves nothing past the one that is missing.
    broker.held[9]()
    time.sleep(0.1)
    assert spool.pending == 6
    for acknowledge in broker.held[4:9]:
        acknowledge()
    eventually(lambda: spool.pending == 0)
    delivery.stop(Deadline(SystemClock(), 5))


def test_a_producer_that_fails_is_replaced_and_the_order_kept(
    broker: FakeBroker, spool: Spool
) -> None:
    broker.fail_after = 7
    values = fill(spool, 0, 20)
    delivery = start(broker, spool)
    eventually(lambda: spool.pending == 0)
    assert broker.stored == values
    assert broker.producers == 2
    delivery.stop(Deadline(SystemClock(), 5))


def test_waits_for_a_broker_that_is_away(broker: FakeBroker, spool: Spool) -> None:
    broker.refuse = True
    values = fill(spool, 0, 3)
    delivery = start(broker, spool)
    eventually(lambda: "no broker" in delivery.last_error)
    eventually(lambda: not delivery.reachable)
    broker.refuse = False
    eventually(lambda: spool.pending == 0)
    assert broker.stored == values
    eventually(lambda: delivery.reachable)
    delivery.stop(Deadline(SystemClock(), 5))


def test_a_stop_is_in_time_although_nothing_is_acknowledged(
    broker: FakeBroker, spool: Spool
) -> None:
    broker.hold = True
    fill(spool, 0, 3)
    delivery = start(broker, spool)
    eventually(lambda: len(broker.stored) == 3)
    started = time.monotonic()
    delivery.stop(Deadline(SystemClock(), 0.5))
    assert time.monotonic() - started < 3
    assert spool.pending == 3


def test_a_rejected_record_becomes_a_dead_letter_and_the_others_go_on(
    broker: FakeBroker, spool: Spool
) -> None:
    values = fill(spool, 0, 10)
    spool.append(Entry(Kind.TICK, b"BTC-USD", b"poison"))
    values += fill(spool, 10, 10)
    delivery = start(broker, spool)
    eventually(lambda: spool.pending == 0)
    delivery.stop(Deadline(SystemClock(), 5))
    ticks = [v for v, topic in zip(broker.stored, broker.topics, strict=True) if topic == "prices"]
    assert list(dict.fromkeys(ticks)) == values  # some were sent again: removed by key
    (letter,) = [decode(v, DeadLetter) for v in broker.stored if v not in values]
    assert (letter.reason, letter.payload) == ("rejected_by_kafka", "poison")
    assert letter.symbol == "BTC-USD"


def test_a_rejected_dead_letter_is_given_up_loudly(broker: FakeBroker, spool: Spool) -> None:
    spool.append(Entry(Kind.DEAD_LETTER, b"BTC-USD", b"poison"))
    values = fill(spool, 0, 3)
    with capture_logs() as logs:
        delivery = start(broker, spool)
        eventually(lambda: spool.pending == 0)
    delivery.stop(Deadline(SystemClock(), 5))
    assert broker.stored == values
    assert any("rejects a record" in entry["event"] for entry in logs)


def test_what_was_left_elsewhere_goes_first_and_is_forgotten_when_empty(
    broker: FakeBroker, tmp_path: Path
) -> None:
    own = Spool(SpoolOptions(tmp_path / "own"), SystemClock())
    left = Spool(SpoolOptions(tmp_path / "left"), SystemClock())
    newer, older = fill(own, 10, 10), fill(left, 0, 10)
    emptied = threading.Event()
    delivery = Delivery(broker.make_producer, Topics("prices", "dlq"), SystemClock(), lambda: None)
    delivery.add(own)
    delivery.add(left, emptied.set)
    assert delivery.pending == 20
    delivery.start()
    assert emptied.wait(10)
    eventually(lambda: delivery.pending == 0)
    assert broker.stored == older + newer
    delivery.stop(Deadline(SystemClock(), 5))


def test_nothing_behind_a_failed_record_is_acknowledged_with_it(
    broker: FakeBroker, spool: Spool
) -> None:
    """The first of three fails, the others succeed: all three are sent again."""
    broker.hold = True
    values = fill(spool, 0, 3)
    delivery = start(broker, spool)
    eventually(lambda: len(broker.held) == 3)
    broker.hold = False
    broker.futures[1].success(Metadata("prices", 0, 1))
    broker.futures[2].success(Metadata("prices", 0, 2))
    broker.futures[0].failure(KafkaError("lost"))
    eventually(lambda: spool.pending == 0)
    assert broker.stored == values + values
    delivery.stop(Deadline(SystemClock(), 5))


def test_what_a_producer_delivered_before_it_broke_is_not_sent_again(
    broker: FakeBroker, spool: Spool
) -> None:
    broker.hold = True
    values = fill(spool, 0, 3)
    delivery = start(broker, spool)
    eventually(lambda: len(broker.held) == 3)
    broker.hold = False
    broker.breaks = True  # at its next record
    values += fill(spool, 3, 1)
    delivery.wake()
    eventually(lambda: not broker.breaks)
    for number, future in enumerate(broker.futures[:3]):
        future.success(Metadata("prices", 0, number))
    eventually(lambda: spool.pending == 0)
    assert broker.stored == values
    delivery.stop(Deadline(SystemClock(), 5))
