"""Bars kept up to date inside the transaction that inserts their ticks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Insert,
    Row,
    Select,
    Table,
    bindparam,
    func,
    select,
    text,
)

from common.store.bar import Bar, fold, is_news, tick_bar, widen
from common.store.insert import chunks, insert_into
from common.store.schema import BARS, ticks

__all__ = ["add_parts", "add_to_bars", "bar_values", "lock_series", "to_bar", "write_bars"]

# Ticks further apart are looked up by themselves, so that a late one reads its neighbours only.
_RUN_GAP_US = 60_000_000
_SECOND_US = min(BARS)
_FIELDS = tuple(Bar.__dataclass_fields__)


def _series(row: Any) -> tuple[str, str]:
    return (row.feed, row.symbol)


def lock_series(connection: Connection, series: Iterable[tuple[str, str]]) -> None:
    """Let no other transaction change these series until this one ends.

    SQLite has one writer at a time by itself. Locks are taken in one order, hence no deadlock.
    """
    if connection.dialect.name == "postgresql":
        for feed, symbol in sorted(set(series)):
            connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
                {"name": f"{feed}/{symbol}"},
            )


def add_to_bars(connection: Connection, inserted: Sequence[Any]) -> None:
    """Count ``inserted`` in their bars: rows of ``ticks`` that this transaction has inserted.

    Exact whatever the order: a late tick changes the bars it belongs to, and what it makes of the
    news of the tick after it.
    """
    ordered = sorted(inserted, key=lambda row: (row.feed, row.symbol, row.sequence))
    for (feed, symbol), rows in groupby(ordered, key=_series):
        _add_to_series(connection, feed, symbol, list(rows))


def _add_to_series(connection: Connection, feed: str, symbol: str, rows: list[Any]) -> None:
    news = _news_changes(connection, feed, symbol, rows)
    add_parts(connection, feed, symbol, [tick_bar(row, _SECOND_US) for row in rows], news)


def add_parts(
    connection: Connection,
    feed: str,
    symbol: str,
    seconds: Iterable[Bar],
    news: Mapping[int, int],
) -> None:
    """Add parts of bars of a second to the bars of every width; ``news`` is its change by time."""
    parts = fold(seconds)
    for width_us, table in BARS.items():
        parts = fold(widen(part, width_us) for part in parts.values())
        news = _sum_by(news.items(), width_us)
        known = _load(connection, table, feed, symbol, sorted(parts.keys() | news.keys()))
        whole = fold([*known.values(), *parts.values()])
        changed = [replace(bar, news=bar.news + news.get(start, 0)) for start, bar in whole.items()]
        write_bars(connection, table, feed, symbol, changed)


def _sum_by(counts: Iterable[tuple[int, int]], width_us: int) -> dict[int, int]:
    sums: dict[int, int] = {}
    for time_us, count in counts:
        start = time_us - time_us % width_us
        sums[start] = sums.get(start, 0) + count
    return sums


def _news_changes(
    connection: Connection, feed: str, symbol: str, rows: list[Any]
) -> dict[int, int]:
    """Return by sequence how the count of news changes: of ``rows``, and of those after them."""
    new = {row.sequence for row in rows}
    window: dict[int, Row[Any]] = {}
    for low, high in _runs(sorted(new)):
        window.update(_neighbourhood(connection, feed, symbol, low, high))
    changes: dict[int, int] = {}
    before = before_old = None
    for sequence, row in sorted(window.items()):
        if sequence in new:
            changes[sequence] = int(is_news(before, row))
        else:
            if before is not None and before.sequence in new:
                changes[sequence] = is_news(before, row) - is_news(before_old, row)
            before_old = row
        before = row
    return changes


def _runs(sequences: list[int]) -> Iterator[tuple[int, int]]:
    low = high = sequences[0]
    for sequence in sequences[1:]:
        if sequence - high > _RUN_GAP_US:
            yield low, high
            low = sequence
        high = sequence
    yield low, high


def _neighbourhood(
    connection: Connection, feed: str, symbol: str, low: int, high: int
) -> dict[int, Row[Any]]:
    """Return the ticks from the one before ``low`` to the one after ``high``, by sequence."""
    values = {"of_feed": feed, "of_symbol": symbol, "low": low, "high": high}
    found = connection.execute(_neighbourhood_query(), values)
    return {row.sequence: row for row in found}


@cache
def _neighbourhood_query() -> Select[Any]:
    own = (ticks.c.feed == bindparam("of_feed"), ticks.c.symbol == bindparam("of_symbol"))
    low, high = bindparam("low", type_=BigInteger), bindparam("high", type_=BigInteger)
    before = select(func.max(ticks.c.sequence)).where(*own, ticks.c.sequence < low)
    after = select(func.min(ticks.c.sequence)).where(*own, ticks.c.sequence > high)
    return select(ticks).where(
        *own,
        ticks.c.sequence >= func.coalesce(before.scalar_subquery(), low),
        ticks.c.sequence <= func.coalesce(after.scalar_subquery(), high),
    )


def _load(
    connection: Connection, table: Table, feed: str, symbol: str, starts: Sequence[int]
) -> dict[int, Bar]:
    found: dict[int, Bar] = {}
    for chunk in chunks(starts):
        values = {"of_feed": feed, "of_symbol": symbol, "starts": chunk}
        rows = connection.execute(_load_query(table), values)
        found.update((row.start, to_bar(row)) for row in rows)
    return found


@cache
def _load_query(table: Table) -> Select[Any]:
    return select(table).where(
        table.c.feed == bindparam("of_feed"),
        table.c.symbol == bindparam("of_symbol"),
        table.c.start.in_(bindparam("starts", expanding=True)),
    )


def to_bar(row: Row[Any]) -> Bar:
    """Return a stored row of a table of bars as a `Bar`."""
    values = {name: getattr(row, name) for name in _FIELDS}
    for name in ("buy_volume", "sell_volume"):
        values[name] = None if values[name] is None else Decimal(values[name])
    return Bar(**values)


def bar_values(bar: Bar) -> dict[str, Any]:
    """Return the columns of a bar but its feed and symbol."""
    values: dict[str, Any] = {name: getattr(bar, name) for name in _FIELDS}
    told = [volume for volume in (bar.buy_volume, bar.sell_volume) if volume is not None]
    for name in ("buy_volume", "sell_volume"):
        values[name] = None if values[name] is None else f"{values[name]:f}"
    return values | {"volume": float(sum(told)) if told else None}


def write_bars(
    connection: Connection, table: Table, feed: str, symbol: str, bars: Iterable[Bar]
) -> None:
    """Write whole bars over what is stored of them."""
    rows = [{"feed": feed, "symbol": symbol} | bar_values(bar) for bar in bars]
    if rows:
        connection.execute(_upsert(table, connection.dialect.name), rows)


@cache  # made anew for each batch it would cost more than the database takes
def _upsert(table: Table, dialect: str) -> Insert:
    statement = insert_into(table, dialect)
    key = [column.name for column in table.primary_key]
    changed = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if not column.primary_key
    }
    return statement.on_conflict_do_update(index_elements=key, set_=changed)
