"""Bars against a recomputation that shares nothing with how they are kept up to date."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select, text

from common.clock import from_micros, to_micros
from common.store import make_engine, upgrade_schema
from common.store.rebuild import compare_bars
from common.store.schema import (
    BARS,
    imported_bars,
    imported_metrics,
    imported_predictions,
    models,
    ticks,
)
from common.store.writer import save_ticks
from common.wire import Feed, Tick

BASE = to_micros(from_micros(1_767_225_600_000_000))  # 2026-01-01, the start of an hour
SECOND, MINUTE, HOUR = BARS

prices = st.sampled_from(["99.5", "100.00", "100.10", "1e2", "0.1", "0.7", "87654.32"])
volumes = st.none() | st.sampled_from(["0", "0.1", "0.2", "0.3", "1E-8", "7000000000.1"])
# A few instants around the ends of a second, a minute and an hour: many collisions of keys.
moments = st.builds(
    lambda unit, count, offset: BASE + unit * count + offset,
    st.sampled_from([SECOND, MINUTE, HOUR]),
    st.integers(0, 3),
    st.sampled_from([-1, 0, 1, 400_000, 999_999]),
)


@st.composite
def make_ticks(draw: st.DrawFn) -> Tick:
    moment = from_micros(draw(moments))
    bid = draw(st.none() | prices)
    estimated = draw(st.booleans())
    feed: Feed = draw(st.sampled_from(["live", "simulated"]))
    return Tick(
        symbol=draw(st.sampled_from(["BTC-USD", "ETH-USD"])),
        venue=draw(st.sampled_from(["kraken", "binance"])),
        feed=feed,
        sequence=to_micros(moment),
        event_time=moment if estimated else from_micros(BASE + draw(st.integers(0, 2))),
        receive_time=moment,
        price=Decimal(draw(prices)),
        bid=None if bid is None else Decimal(bid),
        ask=None
        if bid is None
        else Decimal(bid) + draw(st.sampled_from([Decimal(0), Decimal("0.3")])),
        buy_volume=None if (bought := draw(volumes)) is None else Decimal(bought),
        sell_volume=None if (sold := draw(volumes)) is None else Decimal(sold),
        event_time_estimated=estimated,
    )


@dataclass
class Naive:
    """A bar as its definition says, from all of its ticks in order."""

    feed: str
    symbol: str
    width: int
    start: int
    ticks: list[Tick]
    news: int

    def columns(self) -> dict[str, Any]:
        last = [float(tick.price) for tick in self.ticks]
        mid = [tick.mid for tick in self.ticks]
        bought = [tick.buy_volume for tick in self.ticks if tick.buy_volume is not None]
        sold = [tick.sell_volume for tick in self.ticks if tick.sell_volume is not None]
        told = bought + sold
        return {
            "feed": self.feed,
            "symbol": self.symbol,
            "start": self.start,
            "first_us": self.ticks[0].sequence - self.start,
            "last_us": self.ticks[-1].sequence - self.start,
            "open": last[0],
            "high": max(last),
            "low": min(last),
            "close": last[-1],
            "mid_open": mid[0],
            "mid_high": max(mid),
            "mid_low": min(mid),
            "mid_close": mid[-1],
            "buy_volume": sum(bought) if bought else None,
            "sell_volume": sum(sold) if sold else None,
            "volume": float(sum(told)) if told else None,
            "ticks": len(self.ticks),
            "news": self.news,
        }


def naive_bars(stored: Iterable[Tick], width: int) -> list[dict[str, Any]]:
    bars: dict[tuple[str, str, int], Naive] = {}
    before: Tick | None = None
    for tick in sorted(stored, key=lambda tick: (tick.feed, tick.symbol, tick.sequence)):
        start = tick.sequence // width * width
        if before and (before.feed, before.symbol) != (tick.feed, tick.symbol):
            before = None
        key = (tick.feed, tick.symbol, start)
        bar = bars.setdefault(key, Naive(tick.feed, tick.symbol, width, start, [], 0))
        bar.ticks.append(tick)
        bar.news += before is None or told_anything(before, tick)
        before = tick
    return [bar.columns() for _, bar in sorted(bars.items())]


def told_anything(before: Tick, tick: Tick) -> bool:
    if tick.buy_volume or tick.sell_volume:
        return True
    if (before.event_time_estimated, tick.event_time_estimated) != (True, True) and (
        before.event_time_estimated != tick.event_time_estimated
        or before.event_time != tick.event_time
    ):
        return True
    names = ("venue", "price", "size", "bid", "bid_size", "ask", "ask_size", "trade_id")
    one, other = (
        [f"{value:f}" if isinstance(value, Decimal) else value for value in values]
        for values in ([getattr(t, name) for name in names] for t in (before, tick))
    )
    return one != other


def stored_bars(engine: Engine, width: int) -> list[dict[str, Any]]:
    table = BARS[width]
    with engine.connect() as connection:
        rows = connection.execute(
            select(table).order_by(table.c.feed, table.c.symbol, table.c.start)
        ).all()
    bars = [dict(row._mapping) for row in rows]
    for bar in bars:
        for name in ("buy_volume", "sell_volume"):
            bar[name] = None if bar[name] is None else Decimal(bar[name])
    return bars


def save(engine: Engine, batches: Iterable[list[Tick]]) -> list[Tick]:
    """Save each batch in a transaction of its own; return what was stored: the first of a key."""
    stored: dict[tuple[str, str, int], Tick] = {}
    for batch in batches:
        with engine.begin() as connection:
            save_ticks(connection, batch)
        for tick in batch:
            stored.setdefault((tick.feed, tick.symbol, tick.sequence), tick)
    return list(stored.values())


def forget(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in (ticks, *BARS.values()):
            connection.execute(delete(table))


def at(second: float, price: str = "100", **other: Any) -> Tick:
    moment = from_micros(BASE) + timedelta(seconds=second)
    values: dict[str, Any] = {
        "venue": "kraken",
        "feed": "live",
        "event_time_estimated": True,
    } | other
    return Tick(
        symbol="BTC-USD",
        sequence=to_micros(moment),
        event_time=moment,
        receive_time=moment,
        price=Decimal(price),
        **values,
    )


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(make_ticks(), max_size=8), max_size=8))
@example([[at(2)], [at(0), at(1)], [at(1, "5")]])
@example([[at(0), at(120)], [at(60)], [at(119), at(1)]])
def test_bars_equal_a_recomputation_whatever_the_order(
    engine: Engine, batches: list[list[Tick]]
) -> None:
    forget(engine)
    stored = save(engine, batches)
    for width in BARS:
        assert stored_bars(engine, width) == naive_bars(stored, width)
    with engine.connect() as connection:
        assert list(compare_bars(connection)) == []


def test_one_and_the_same_ticks_make_the_same_bars_in_any_order(engine: Engine) -> None:
    batch = [at(n / 7, f"{100 + n % 5}", buy_volume=Decimal(n) / 10) for n in range(200)]
    found = []
    for order in (batch, batch[::-1], batch[1::2] + batch[::2]):
        forget(engine)
        save(engine, [order[n : n + 9] for n in range(0, len(order), 9)])
        found.append([stored_bars(engine, width) for width in BARS])
    assert found[0] == found[1] == found[2]
    assert found[0][2][0]["buy_volume"] == Decimal(1990)


def test_a_second_without_news_is_marked_and_one_without_ticks_has_no_bar(engine: Engine) -> None:
    save(engine, [[at(0), at(1), at(4, "101"), at(5, "101", venue="binance")]])
    found = [
        (bar["start"] - BASE, bar["ticks"], bar["news"]) for bar in stored_bars(engine, SECOND)
    ]
    assert found == [(0, 1, 1), (SECOND, 1, 0), (4 * SECOND, 1, 1), (5 * SECOND, 1, 1)]


def test_a_late_tick_takes_the_news_from_the_one_after_it(engine: Engine) -> None:
    save(engine, [[at(0, "100"), at(2, "101")], [at(1, "101")]])
    assert [bar["news"] for bar in stored_bars(engine, SECOND)] == [1, 1, 0]
    assert [bar["news"] for bar in stored_bars(engine, MINUTE)] == [2]


def test_a_transaction_that_fails_leaves_no_bars(engine: Engine) -> None:
    def write_and_break() -> None:
        with engine.begin() as connection:
            save_ticks(connection, [at(0)])
            raise InterruptedError

    with pytest.raises(InterruptedError):
        write_and_break()
    assert [stored_bars(engine, width) for width in BARS] == [[], [], []]


def test_the_migration_makes_the_bars_of_what_is_stored(url: str, engine: Engine) -> None:
    stored = save(engine, [[at(n * 700, f"{n + 1}") for n in range(30)]])
    with engine.begin() as connection:  # as the version before the bars left it
        for table in (
            *BARS.values(),
            imported_bars,
            imported_predictions,
            imported_metrics,
            models,
        ):
            connection.execute(text(f"DROP TABLE {table.name}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    other = make_engine(url)
    assert upgrade_schema(other)[0] == "0001"
    for width in BARS:
        assert stored_bars(other, width) == naive_bars(stored, width)
    other.dispose()


@pytest.mark.parametrize("width", BARS)
def test_a_wrong_a_missing_and_an_invented_bar_are_found(engine: Engine, width: int) -> None:
    save(engine, [[at(0), at(3600), at(3601)]])
    table = BARS[width]
    last = table.c.start >= BASE + HOUR
    with engine.begin() as connection:
        connection.execute(table.update().where(last).values(high=1e6))
    with engine.connect() as connection:
        wrong = list(compare_bars(connection))
    assert wrong
    assert all(line.startswith(f"{table.name} live BTC-USD {BASE + HOUR}") for line in wrong[:1])
    with engine.begin() as connection:
        connection.execute(table.delete().where(last))
    with engine.connect() as connection:
        assert len(list(compare_bars(connection))) == len(wrong)
    with engine.begin() as connection:
        row = {"first_us": 0, "last_us": 0, "ticks": 1, "news": 1, "feed": "live"}
        row |= dict.fromkeys(("open", "high", "low", "close"), 1.0)
        row |= dict.fromkeys(("mid_open", "mid_high", "mid_low", "mid_close"), 1.0)
        start = BASE + HOUR + 40 * MINUTE if width < HOUR else BASE + HOUR
        connection.execute(table.insert().values(row | {"symbol": "BTC-USD", "start": start}))
    with engine.connect() as connection:
        assert any(f" {start}: " in line for line in compare_bars(connection))
