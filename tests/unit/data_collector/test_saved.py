"""What is said of records that Kafka has: each tick, but no flood."""

from collections import namedtuple
from datetime import timedelta
from decimal import Decimal

import pytest
from kafka.future import Future
from structlog.testing import capture_logs
from tests.unit.data_collector.conftest import START, FakeClock

from common.wire import Tick, encode
from data_collector.saved import SavedLog
from data_collector.spool import Entry, Kind, Position, Record
from data_collector.window import Sent, Topics

Metadata = namedtuple("Metadata", "topic partition offset")


def acknowledged(number: int, payload: bytes | None = None) -> Sent:
    moment = START + timedelta(seconds=number)
    tick = Tick(
        symbol="BTC-USD",
        venue="coinbase",
        feed="live",
        sequence=number,
        event_time=moment,
        receive_time=moment,
        price=Decimal(100 + number),
    )
    entry = Entry(Kind.TICK, b"BTC-USD", payload or encode(tick))
    future = Future().success(Metadata("prices", 0, number))
    return Sent(None, Record(Position(0, 0), entry), future, 0.0, alone=False)  # type: ignore[arg-type]


@pytest.fixture
def saved(clock: FakeClock) -> SavedLog:
    return SavedLog(Topics("prices", "dlq"), clock)


def test_each_tick_has_its_line(saved: SavedLog) -> None:
    with capture_logs() as logs:
        saved.tell([acknowledged(number) for number in range(64)])
    assert [entry["offset"] for entry in logs] == list(range(64))
    assert logs[7]["event"] == (
        "Saved data to kafka://prices: "
        f"timestamp={(START + timedelta(seconds=7)).isoformat()}, close=107"
    )
    assert saved.last_offset == 63


def test_of_a_flood_few_lines_tell_and_count_all(saved: SavedLog, clock: FakeClock) -> None:
    with capture_logs() as logs:
        for group in range(200):
            saved.tell([acknowledged(10 * group + number) for number in range(10)])
            clock.elapsed += 0.001
        clock.elapsed += 1
        saved.tell([acknowledged(2000)])
    assert 100 <= len(logs) <= 150
    assert sum(entry.get("of", 1) for entry in logs) == 2001
    assert logs[-1]["offset"] == saved.last_offset == 2000


def test_what_a_newer_version_left_is_delivered_without_a_line(saved: SavedLog) -> None:
    with capture_logs() as logs:
        saved.tell([acknowledged(1, b'{"schema_version": 99}')])
    assert not logs
    assert saved.last_offset == 1
