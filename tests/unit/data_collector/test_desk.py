"""From an observation to the spool: what is refused is a dead letter, a full disk loses nothing."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.unit.data_collector.conftest import START, FakeClock

from common.wire import DeadLetter, Tick, decode
from data_collector.desk import Desk
from data_collector.errors import AnswerError
from data_collector.past import read_spool
from data_collector.spool import Entry, Kind, Spool, SpoolOptions
from data_collector.validation import Limits, Validator
from data_collector.venues import Observation, TakerTrade, Totals

SEEN = Observation(
    price=Decimal("64000.10"), event_time=START, bid=Decimal(64000), ask=Decimal(64001)
)


class FullDisk(Spool):
    """Takes nothing while ``full``."""

    full = False

    def append(self, *entries: Entry) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().append(*entries)


@pytest.fixture
def spool(tmp_path: Path, clock: FakeClock) -> Iterator[FullDisk]:
    spool = FullDisk(SpoolOptions(tmp_path), clock)
    yield spool
    spool.close()


def make_desk(spool: Spool, clock: FakeClock) -> Desk:
    return Desk(spool, Validator(Limits()), "live", clock, lambda: None)


@pytest.fixture
def desk(spool: FullDisk, clock: FakeClock) -> Desk:
    return make_desk(spool, clock)


def accept(desk: Desk, sequence: int, seen: Observation = SEEN) -> None:
    desk.accept("BTC-USD", "coinbase", seen, sequence)
    asyncio.run(desk.flush())


def ticks(spool: Spool) -> list[Tick]:
    records = spool.read(spool.cursor, 1000)
    return [decode(r.entry.value, Tick) for r in records if r.entry.kind is Kind.TICK]


def test_a_tick_keeps_what_was_sent_and_adds_our_times(
    desk: Desk, spool: FullDisk, clock: FakeClock
) -> None:
    clock.elapsed = 0.25
    accept(desk, 7_000_000)
    (tick,) = ticks(spool)
    assert str(tick.price) == "64000.10"
    assert (tick.sequence, tick.feed, tick.venue) == (7_000_000, "live", "coinbase")
    assert tick.receive_time - tick.event_time == timedelta(seconds=0.25)
    assert not tick.event_time_estimated


def test_without_a_time_stamp_the_receive_time_stands_in(
    desk: Desk, spool: FullDisk, clock: FakeClock
) -> None:
    clock.elapsed = 3.5
    accept(desk, 1, replace(SEEN, event_time=None))
    (tick,) = ticks(spool)
    assert tick.event_time == tick.receive_time == START + timedelta(seconds=3.5)
    assert tick.event_time_estimated


def test_flow_is_counted_from_the_last_accepted_tick(desk: Desk, spool: FullDisk) -> None:
    def trades(*numbers: int) -> tuple[TakerTrade, ...]:
        return tuple(TakerTrade(n, Decimal(n), taker_buys=n % 2 == 0) for n in numbers)

    accept(desk, 1_000_000, replace(SEEN, trades=trades(1, 2)))
    with pytest.raises(AnswerError, match="jump"):
        accept(desk, 2_000_000, replace(SEEN, bid=Decimal(1), trades=trades(2, 3)))
    accept(desk, 3_000_000, replace(SEEN, trades=trades(2, 3, 4)))
    first, second = ticks(spool)
    assert (first.buy_volume, first.sell_volume) == (None, None)
    assert (second.buy_volume, second.sell_volume) == (Decimal(4), Decimal(3))


def test_an_overtaken_answer_is_kept_without_a_flow_and_is_not_the_newest(
    desk: Desk, spool: FullDisk
) -> None:
    for second, bought in ((1, 5), (3, 9), (2, 7), (4, 10)):
        totals = Totals(1, Decimal(bought), Decimal(0))
        accept(desk, second * 1_000_000, replace(SEEN, totals=totals))
    found = [(tick.sequence // 1_000_000, tick.buy_volume) for tick in ticks(spool)]
    assert found == [(1, None), (3, 4), (2, None), (4, 1)]
    accept(desk, 6_000_000)
    accept(desk, 5_000_000)
    assert desk.last_ticks["BTC-USD"].sequence == 6_000_000


def test_flow_of_a_stream_begins_anew_with_each_connection(desk: Desk, spool: FullDisk) -> None:
    for second, connection, bought in ((1, 1, 5), (2, 1, 7), (3, 2, 1), (4, 2, 2)):
        totals = Totals(connection, Decimal(bought), Decimal(0))
        accept(desk, second * 1_000_000, replace(SEEN, totals=totals))
    assert [tick.buy_volume for tick in ticks(spool)] == [None, 2, None, 1]


def test_what_is_refused_becomes_a_dead_letter_with_the_reason(desk: Desk, spool: FullDisk) -> None:
    accept(desk, 1)
    for seen, sequence in ((SEEN, 1), (replace(SEEN, price=Decimal("NaN")), 2)):
        with pytest.raises(AnswerError) as caught:
            accept(desk, sequence, seen)
        desk.reject("BTC-USD", "coinbase", caught.value)
        asyncio.run(desk.flush())
    records = spool.read(spool.cursor, 10)[1:]
    letters = [decode(record.entry.value, DeadLetter) for record in records]
    assert [letter.reason for letter in letters] == ["duplicate", "invalid_value"]
    assert decode(letters[0].payload.encode(), Tick).sequence == 1
    assert "NaN" in letters[1].payload
    assert {letter.origin for letter in letters} == {"data-collector:coinbase"}


def test_a_full_disk_keeps_records_in_memory_and_in_order(desk: Desk, spool: FullDisk) -> None:
    accept(desk, 1_000_000)
    spool.full = True
    for second in (2, 3, 4):
        accept(desk, second * 1_000_000)
    assert desk.waiting == 3
    assert "No space left" in desk.last_error
    spool.full = False
    accept(desk, 5_000_000)
    assert desk.waiting == 0
    assert desk.last_error == ""
    assert [tick.sequence for tick in ticks(spool)] == [k * 1_000_000 for k in range(1, 6)]


def test_a_restart_refuses_what_the_spool_has(
    desk: Desk, spool: FullDisk, clock: FakeClock
) -> None:
    accept(desk, 1_000_000)
    accept(desk, 2_000_000)
    spool.append(Entry(Kind.TICK, b"BTC-USD", b'{"schema_version": 99}'))
    again = make_desk(spool, clock)
    assert again.learn(read_spool(spool)) == {"BTC-USD": 2_000_000}
    with pytest.raises(AnswerError, match="duplicate"):
        accept(again, 2_000_000)
    with pytest.raises(AnswerError, match="moved by"):
        accept(again, 3_000_000, replace(SEEN, bid=Decimal(70000), ask=Decimal(70001)))
    accept(again, 3_000_000)


def test_ticks_of_another_feed_are_no_past_of_ours(
    desk: Desk, spool: FullDisk, clock: FakeClock
) -> None:
    accept(desk, 1_000_000)
    replayed = Desk(spool, Validator(Limits()), "replay", clock, lambda: None)
    assert replayed.learn(read_spool(spool)) == {}
    accept(replayed, 1_000_000, replace(SEEN, bid=Decimal(1), ask=Decimal(1), price=Decimal(1)))


def test_closing_writes_what_waits(desk: Desk, spool: FullDisk) -> None:
    spool.full = True
    accept(desk, 1_000_000)
    spool.full = False
    asyncio.run(desk.close())
    assert len(ticks(spool)) == 1
