"""Bars kept up to date inside the transaction that inserts their ticks."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Row,
    Select,
    String,
    Table,
    any_,
    bindparam,
    func,
    select,
    text,
)

from common.store.bar import Bar, fold, is_news, tick_bar, widen
from common.store.insert import chunks, write_rows
from common.store.schema import BARS, ticks
from common.store.tick_row import TickRow

__all__ = ["Parts", "add_parts", "lock_series", "new_parts", "to_bar", "write_bars"]

# Ticks further apart are looked up by themselves, so that a late one reads its neighbours only.
_RUN_GAP_US = 60_000_000
_SECOND_US = min(BARS)

Series = tuple[str, str]  # feed, symbol


class Parts(NamedTuple):
    """What is to be added to the bars of one series.

    ``seconds`` are parts of bars of a second; ``news`` is by time what changes in the count of news
    besides.
    """

    seconds: list[Bar]
    news: Mapping[int, int]


def lock_series(connection: Connection, series: Iterable[Series]) -> None:
    """Let no other transaction change these series until this one ends.

    SQLite has one writer at a time: what is read from now on stays true until this one writes.
    PostgreSQL's locks are taken in one order, hence no deadlock.
    """
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        if not driver.in_transaction:  # the driver begins one before changes only
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(_LOCKS, {"names": [f"{feed}/{symbol}" for feed, symbol in series]})


_LOCKS = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(name, 0))"
    " FROM (SELECT unnest(CAST(:names AS text[])) AS name ORDER BY name) AS ordered"
)


def new_parts(
    connection: Connection, rows: Sequence[TickRow]
) -> tuple[list[TickRow], dict[Series, Parts]]:
    """Return those of ``rows`` that are not stored yet, and what they add to the bars.

    ``rows`` are in the order of their key, the series are locked. Exact whatever came before: a
    late tick changes the bars it belongs to, and what it makes of the news of the tick after it.
    """
    new: list[TickRow] = []
    parts: dict[Series, Parts] = {}
    for (feed, symbol), group in groupby(rows, key=lambda row: (row.feed, row.symbol)):
        wanted = {row.sequence: row for row in group}
        known = _neighbours(connection, feed, symbol, list(wanted))
        added = {key: row for key, row in wanted.items() if key not in known}
        if added:
            news = _news_changes(known, added)
            seconds = [tick_bar(row, _SECOND_US, news.pop(key)) for key, row in added.items()]
            parts[(feed, symbol)] = Parts(seconds, news)
            new += added.values()
    return new, parts


def add_parts(connection: Connection, parts: Mapping[Series, Parts]) -> None:
    """Add parts to the stored bars of every width."""
    seconds: dict[Series, Iterable[Bar]] = {key: part.seconds for key, part in parts.items()}
    news = {key: part.news for key, part in parts.items()}
    for width_us, table in BARS.items():
        added = {key: fold(widen(bar, width_us) for bar in bars) for key, bars in seconds.items()}
        news = {key: _sum_by(counts.items(), width_us) for key, counts in news.items()}
        known = _load(connection, table, {key: added[key].keys() | news[key] for key in parts})
        write_bars(
            connection,
            table,
            {
                key: _with_news(fold([*known.get(key, ()), *bars.values()]), news[key])
                for key, bars in added.items()
            },
        )
        seconds = {key: bars.values() for key, bars in added.items()}


def _with_news(bars: dict[int, Bar], news: Mapping[int, int]) -> dict[int, Bar]:
    for start, count in news.items():
        bars[start] = bars[start]._replace(news=bars[start].news + count)
    return bars


def _sum_by(counts: Iterable[tuple[int, int]], width_us: int) -> dict[int, int]:
    sums: dict[int, int] = {}
    for time_us, count in counts:
        start = time_us - time_us % width_us
        sums[start] = sums.get(start, 0) + count
    return sums


def _news_changes(known: Mapping[int, Any], added: Mapping[int, TickRow]) -> dict[int, int]:
    """Return by sequence how the count of news changes: of ``added``, and of those after them.

    ``known`` are the stored ticks around them.
    """
    changes: dict[int, int] = {}
    before: Any = None
    before_old: Any = None
    for sequence in sorted({*known, *added}):
        row = added.get(sequence)
        if row is not None:
            changes[sequence] = int(is_news(before, row))
        else:
            row = known[sequence]
            if before is not None and before.sequence in added:
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


def _neighbours(
    connection: Connection, feed: str, symbol: str, sequences: list[int]
) -> dict[int, Row[Any]]:
    """Return the stored ticks among ``sequences``, and those just before and after them."""
    found: dict[int, Row[Any]] = {}
    for low, high in _runs(sequences):
        values = {"of_feed": feed, "of_symbol": symbol, "low": low, "high": high}
        rows = connection.execute(_neighbours_query(), values)
        found.update((row.sequence, row) for row in rows)
    return found


@cache
def _neighbours_query() -> Select[Any]:
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
    connection: Connection, table: Table, wanted: Mapping[Series, Collection[int]]
) -> dict[Series, list[Bar]]:
    """Return the stored bars of each series at the ``wanted`` starts."""
    found: dict[Series, list[Bar]] = {}
    query = _load_query(table, connection.dialect.name)
    for feed in {feed for feed, _ in wanted}:
        symbols = [symbol for one, symbol in wanted if one == feed]
        starts = sorted({start for key in wanted if key[0] == feed for start in wanted[key]})
        for chunk in chunks(starts):
            values = {"of_feed": feed, "symbols": symbols, "starts": list(chunk)}
            for row in connection.execute(query, values):
                if row.start in wanted[(feed, row.symbol)]:
                    found.setdefault((feed, row.symbol), []).append(to_bar(row))
    return found


@cache
def _load_query(table: Table, dialect: str) -> Select[Any]:
    query = select(table).where(table.c.feed == bindparam("of_feed"))
    for column, name in ((table.c.symbol, "symbols"), (table.c.start, "starts")):
        if dialect == "sqlite":
            query = query.where(column.in_(bindparam(name, expanding=True)))
        else:  # one text for any number of values
            kind = String() if name == "symbols" else BigInteger()
            query = query.where(column == any_(bindparam(name, type_=ARRAY(kind))))
    return query


def to_bar(row: Any) -> Bar:
    """Return a stored row of a table of bars as a `Bar`."""
    _, _, *first, bought, sold, _, count, news = row
    return Bar._make((*first, _decimal(bought), _decimal(sold), count, news))


def _decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _row(feed: str, symbol: str, bar: Bar) -> tuple[Any, ...]:
    """Return the values of all columns of a table of bars."""
    *first, bought, sold, count, news = bar
    told = [volume for volume in (bought, sold) if volume is not None]
    volumes = (None if volume is None else f"{volume:f}" for volume in (bought, sold))
    return (feed, symbol, *first, *volumes, float(sum(told)) if told else None, count, news)


def write_bars(
    connection: Connection, table: Table, bars: Mapping[Series, Mapping[int, Bar]]
) -> None:
    """Write whole bars over what is stored of them."""
    rows = [_row(feed, symbol, bar) for (feed, symbol), one in bars.items() for bar in one.values()]
    write_rows(connection, table, rows, replace=True)
