"""Bars from the stored ticks: for a store that had none, and to prove those that are stored."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from common.store.bar import Bar, fold, imported_bar, is_news, tick_bar, widen
from common.store.bars import to_bar, write_bars
from common.store.schema import BARS, imported_bars, ticks
from common.store.series import distinct_prefixes

__all__ = ["compare_bars", "rebuild_bars"]

_HOUR_US = max(BARS)
_SECOND_US = min(BARS)
_SERIES = (ticks.c.feed, ticks.c.symbol)

BarsByWidth = dict[int, dict[int, Bar]]


def rebuild_bars(connection: Connection) -> int:
    """Write the bars of every stored tick anew, an hour at a time; return the number of ticks.

    Bars of hours whose ticks are gone stay as they are. Nothing else may write meanwhile.
    """
    count = 0
    for feed, symbol in distinct_prefixes(connection, _SERIES):
        for hour in _hours(connection, feed, symbol):
            bars = _recompute(connection, feed, symbol, hour)
            for width_us, table in BARS.items():
                write_bars(connection, table, {(feed, symbol): bars[width_us]})
            count += bars[_HOUR_US][hour].ticks
    return count


def compare_bars(connection: Connection) -> Iterator[str]:
    """Yield a line for each stored bar that is not what the stored ticks make, and the reverse.

    An hour that has lost ticks to retention cannot be told and is left out. Runs in one snapshot
    where the caller's transaction is one.
    """
    for feed, symbol in distinct_prefixes(connection, _SERIES):
        for hour in _hours(connection, feed, symbol):
            if _thinned(connection, feed, symbol, hour):
                continue
            right = _recompute(connection, feed, symbol, hour)
            stored = _stored(connection, feed, symbol, hour)
            for width_us, table in BARS.items():
                for start in sorted(right[width_us].keys() | stored[width_us].keys()):
                    one, other = stored[width_us].get(start), right[width_us].get(start)
                    if one != other:
                        yield f"{table.name} {feed} {symbol} {start}: {one} is stored, not {other}"


def _thinned(connection: Connection, feed: str, symbol: str, hour: int) -> bool:
    """Return whether ticks that counted in this hour's bars, or the one before them, are gone."""
    if _neighbour(connection, feed, symbol, hour, newest=True) is not None:
        return False
    table = BARS[_HOUR_US]
    first = connection.execute(
        select(table.c.start + table.c.first_us)
        .where(table.c.feed == feed, table.c.symbol == symbol, table.c.start <= hour)
        .order_by(table.c.start)
        .limit(1)
    ).scalar()
    return first is not None and first != _neighbour(connection, feed, symbol, 0, newest=False)


def _neighbour(
    connection: Connection, feed: str, symbol: str, time_us: int, *, newest: bool
) -> int | None:
    """Return the newest sequence before ``time_us``, or the oldest from it on."""
    own = select(func.max(ticks.c.sequence) if newest else func.min(ticks.c.sequence)).where(
        ticks.c.feed == feed, ticks.c.symbol == symbol
    )
    side = ticks.c.sequence < time_us if newest else ticks.c.sequence >= time_us
    return connection.scalar(own.where(side))


def _hours(connection: Connection, feed: str, symbol: str) -> Iterator[int]:
    sequence = _neighbour(connection, feed, symbol, 0, newest=False)
    while sequence is not None:
        hour = sequence - sequence % _HOUR_US
        yield hour
        sequence = _neighbour(connection, feed, symbol, hour + _HOUR_US, newest=False)


def _recompute(connection: Connection, feed: str, symbol: str, hour: int) -> BarsByWidth:
    first = _neighbour(connection, feed, symbol, hour, newest=True)
    rows = connection.execute(
        select(ticks)
        .where(
            ticks.c.feed == feed,
            ticks.c.symbol == symbol,
            ticks.c.sequence >= (hour if first is None else first),
            ticks.c.sequence < hour + _HOUR_US,
        )
        .order_by(ticks.c.sequence)
    ).all()
    befores = [None, *rows]
    parts: list[Bar] = [
        tick_bar(row, _SECOND_US, int(is_news(before, row)))
        for before, row in zip(befores, rows, strict=False)
        if row.sequence >= hour
    ]
    parts += [imported_bar(row) for row in _in_hour(connection, imported_bars, feed, symbol, hour)]
    bars: BarsByWidth = {}
    for width_us in BARS:
        bars[width_us] = fold(widen(part, width_us) for part in parts)
        parts = list(bars[width_us].values())
    return bars


def _in_hour(
    connection: Connection, table: Table, feed: str, symbol: str, hour: int
) -> Sequence[Row[Any]]:
    own = (table.c.feed == feed, table.c.symbol == symbol)
    inside = (table.c.start >= hour, table.c.start < hour + _HOUR_US)
    return connection.execute(select(table).where(*own, *inside)).all()


def _stored(connection: Connection, feed: str, symbol: str, hour: int) -> BarsByWidth:
    return {
        width_us: {
            row.start: to_bar(row) for row in _in_hour(connection, table, feed, symbol, hour)
        }
        for width_us, table in BARS.items()
    }
