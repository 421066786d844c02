"""The live tail: what comes, in events that can be resumed, and what a slow client is told."""

import json
from collections.abc import Iterator

from kafka import TopicPartition
from tests.unit.kafka_monitor.fake_consumer import FakeConsumer
from tests.unit.kafka_monitor.records import record

from common.health import Check
from kafka_monitor.messages import Span, tail

PLACE = TopicPartition("t", 0)
EMPTY = Span("t", {0: (0, 0)}, {0: 0})
UP, DOWN = Check(ok=True, detail="fine"), Check(ok=False, detail="Kafka does not answer")


def parse(event: bytes) -> tuple[str, str, object]:
    lines = dict(line.split(": ", 1) for line in event.decode().strip().split("\n"))
    return lines["event"], lines["id"], json.loads(lines["data"])


def started(consumer: FakeConsumer, at: int, search: str = "") -> Iterator[bytes]:
    span = Span("t", {0: (0, 10**6)}, {0: at})
    events = tail(consumer, span, search, lambda: False, lambda: UP)
    assert next(events) == b"retry: 1000\n\n"
    return events


def offsets(data: object) -> list[int]:
    assert isinstance(data, list)
    return [each["offset"] for each in data]


def test_messages_carry_the_position_after_them() -> None:
    consumer = FakeConsumer({PLACE: [record(offset, b"x") for offset in range(5)]})
    kind, position, data = parse(next(started(consumer, 3)))
    assert (kind, position, offsets(data)) == ("messages", "0:5", [3, 4])


def test_search_filters_and_the_position_moves_on() -> None:
    consumer = FakeConsumer({PLACE: [record(0, b"gold"), record(1, b"Silver")]})
    _, position, data = parse(next(started(consumer, 0, "SILVER")))
    assert (position, offsets(data)) == ("0:2", [1])


def test_a_client_far_behind_is_moved_on_and_told() -> None:
    consumer = FakeConsumer({PLACE: [record(offset, b"x") for offset in range(5000)]})
    events = started(consumer, 0)
    assert parse(next(events)) == ("skipped", "0:4900", {"count": 4900})
    assert offsets(parse(next(events))[2]) == list(range(4900, 5000))


def test_an_outage_and_its_end_are_told_once() -> None:
    answers = iter([DOWN, DOWN, DOWN, UP, UP, UP])
    last = [UP]

    def check() -> Check:
        last[0] = next(answers, last[0])
        return last[0]

    events = tail(FakeConsumer(), EMPTY, "", lambda: False, check)
    next(events)
    told = [parse(next(events)) for _ in range(10)]
    assert [data for kind, _, data in told if kind == "kafka"] == [
        {"ok": False, "detail": "Kafka does not answer"},
        {"ok": True, "detail": "fine"},
    ]


def test_silence_is_told_too() -> None:
    events = started(FakeConsumer(), 0)
    assert parse(next(events)) == ("messages", "0:0", [])


def test_a_stop_ends_the_events() -> None:
    stopping = [False]
    events = tail(FakeConsumer(), EMPTY, "", lambda: stopping[0], lambda: UP)
    next(events)
    next(events)
    stopping[0] = True
    assert list(events) == []
