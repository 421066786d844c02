"""Reads of the store: every one is bounded by a range and a limit, and follows a primary key.

Times are microseconds since the Unix epoch. A tick's time is its ``sequence``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Label,
    Row,
    Subquery,
    Table,
    and_,
    cast,
    func,
    literal,
    literal_column,
    select,
    text,
)

from common.store.schema import BARS, predictions, scores, ticks
from common.wire import HORIZONS_S

__all__ = [
    "QUANTILE_COLUMNS",
    "Page",
    "Series",
    "count_ticks",
    "first_bar_time",
    "first_tick_time",
    "latest_prediction",
    "latest_score_time",
    "latest_tick",
    "select_bars",
    "select_predictions",
    "select_scores",
    "select_ticks",
    "store_bytes",
    "sum_scores",
]

QUANTILE_COLUMNS = ("q025", "q100", "q250", "q500", "q750", "q900", "q975")


@dataclass(frozen=True)
class Series:
    """Whose rows."""

    feed: str
    symbol: str


@dataclass(frozen=True)
class Page:
    """Rows with ``start <= time < end``, at most ``limit``, oldest or newest first."""

    start: int
    end: int
    limit: int
    newest_first: bool = False


def _between(column: ColumnElement[int], page: Page) -> ColumnElement[bool]:
    return and_(column >= page.start, column < page.end)


def select_ticks(connection: Connection, series: Series, page: Page) -> Sequence[Row[Any]]:
    """Return whole rows of ``ticks``."""
    order = ticks.c.sequence.desc() if page.newest_first else ticks.c.sequence
    return connection.execute(
        select(ticks)
        .where(ticks.c.feed == series.feed, ticks.c.symbol == series.symbol)
        .where(_between(ticks.c.sequence, page))
        .order_by(order)
        .limit(page.limit)
    ).all()


def latest_tick(connection: Connection, series: Series) -> Row[Any] | None:
    """Return the newest row of ``ticks``, if there is one."""
    return connection.execute(
        select(ticks)
        .where(ticks.c.feed == series.feed, ticks.c.symbol == series.symbol)
        .order_by(ticks.c.sequence.desc())
        .limit(1)
    ).first()


def first_tick_time(connection: Connection, series: Series) -> int | None:
    """Return the oldest sequence that is kept."""
    oldest: int | None = connection.scalar(
        select(func.min(ticks.c.sequence)).where(
            ticks.c.feed == series.feed, ticks.c.symbol == series.symbol
        )
    )
    return oldest


def first_bar_time(connection: Connection, series: Series) -> int | None:
    """Return the start of the oldest hour that is kept."""
    table = BARS[max(BARS)]
    oldest: int | None = connection.scalar(
        select(func.min(table.c.start)).where(
            table.c.feed == series.feed, table.c.symbol == series.symbol
        )
    )
    return oldest


def _bucket(column: ColumnElement[int], width_us: int) -> Label[int]:
    # The remainder, since division differs between the databases.
    return (column - column % width_us).label("bucket")


def select_bars(
    connection: Connection, series: Series, page: Page, width_us: int
) -> Sequence[Row[Any]]:
    """Return (bucket, open, high, low, close, mid, volume, ticks) for each bucket with ticks.

    ``width_us`` is a multiple of the width of a kept bar (`common.store.schema.BARS`). Prices are
    of the last trade, ``mid`` is the newest mid price of the bucket. None is invented.
    """
    kept = max(width for width in BARS if width_us % width == 0)
    table = BARS[kept]
    if kept == width_us:
        return _select_kept_bars(connection, table, series, page)
    own = and_(table.c.feed == series.feed, table.c.symbol == series.symbol)
    bucket = _bucket(table.c.start, width_us)
    label: ColumnElement[int] = literal_column("bucket")
    grouped = (
        select(
            bucket,
            func.min(table.c.start).label("first"),
            func.max(table.c.start).label("last"),
            func.max(table.c.high).label("high"),
            func.min(table.c.low).label("low"),
            func.coalesce(func.sum(table.c.volume), 0.0).label("volume"),
            func.sum(table.c.ticks).label("ticks"),
        )
        .where(own, _between(table.c.start, page))
        .group_by(label)
        .order_by(label.desc() if page.newest_first else label)
        .limit(page.limit)
        .subquery()
    )
    first, last = table.alias("first_bar"), table.alias("last_bar")

    def same(bar: Any, start: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(bar.c.feed == series.feed, bar.c.symbol == series.symbol, bar.c.start == start)

    rows: Any = connection.execute(
        select(
            grouped.c.bucket,
            first.c.open,
            grouped.c.high,
            grouped.c.low,
            last.c.close,
            last.c.mid_close.label("mid"),
            grouped.c.volume,
            grouped.c.ticks,
        )
        .join_from(grouped, first, same(first, grouped.c.first))
        .join(last, same(last, grouped.c.last))
        .order_by(grouped.c.bucket.desc() if page.newest_first else grouped.c.bucket)
    ).all()
    found: Sequence[Row[Any]] = rows
    return found


def _select_kept_bars(
    connection: Connection, table: Table, series: Series, page: Page
) -> Sequence[Row[Any]]:
    """Return bars as they are kept: nothing has to be put together."""
    columns = table.c
    rows: Any = connection.execute(
        select(
            columns.start.label("bucket"),
            columns.open,
            columns.high,
            columns.low,
            columns.close,
            columns.mid_close.label("mid"),
            func.coalesce(columns.volume, 0.0).label("volume"),
            columns.ticks,
        )
        .where(columns.feed == series.feed, columns.symbol == series.symbol)
        .where(_between(columns.start, page))
        .order_by(columns.start.desc() if page.newest_first else columns.start)
        .limit(page.limit)
    ).all()
    found: Sequence[Row[Any]] = rows
    return found


def select_predictions(
    connection: Connection, series: Series, horizon_s: int, page: Page, step_us: int = 0
) -> Sequence[Row[Any]]:
    """Return rows of ``predictions`` by issue time, each with ``actual`` where its time has come.

    With ``step_us`` only the first of each step of issue times is returned.
    """
    own = and_(
        predictions.c.feed == series.feed,
        predictions.c.symbol == series.symbol,
        predictions.c.horizon_s == horizon_s,
    )
    query = select(predictions, scores.c.actual).where(own)
    if step_us:
        chosen = _first_of_each_step(own, page, step_us)
        query = query.join(chosen, predictions.c.issue_time == chosen.c.issue_time)
    else:
        query = query.where(_between(predictions.c.issue_time, page))
    query = query.outerjoin(
        scores,
        and_(
            scores.c.feed == predictions.c.feed,
            scores.c.symbol == predictions.c.symbol,
            scores.c.horizon_s == predictions.c.horizon_s,
            scores.c.target_time == predictions.c.target_time,
            scores.c.issue_time == predictions.c.issue_time,
        ),
    )
    order = predictions.c.issue_time.desc() if page.newest_first else predictions.c.issue_time
    return connection.execute(query.order_by(order).limit(page.limit)).all()


def _first_of_each_step(own: ColumnElement[bool], page: Page, step_us: int) -> Subquery:
    """Return the first issue time of each step: a look-up for each, not a scan of the range."""
    begin = literal(page.start - page.start % step_us, BigInteger)
    steps = select(begin.label("begin")).cte("steps", recursive=True)
    steps = steps.union_all(
        select(steps.c.begin + step_us).where(steps.c.begin + step_us < page.end)
    )
    # One bound on each side: with a second one a planner may choose the wider, and scan.
    first = (
        select(func.min(predictions.c.issue_time))
        .where(own)
        .where(predictions.c.issue_time >= steps.c.begin)
        .where(predictions.c.issue_time < steps.c.begin + step_us)
        .scalar_subquery()
    )
    found = select(first.label("issue_time")).select_from(steps).subquery()
    return select(found.c.issue_time).where(_between(found.c.issue_time, page)).subquery()


def latest_prediction(connection: Connection, series: Series) -> Sequence[Row[Any]]:
    """Return the rows of the newest prediction, one for each horizon, shortest first."""
    own = and_(predictions.c.feed == series.feed, predictions.c.symbol == series.symbol)
    newest = (
        select(func.max(predictions.c.issue_time))
        .where(own, predictions.c.horizon_s == HORIZONS_S[0])
        .scalar_subquery()
    )
    return connection.execute(
        select(predictions)
        # Named horizons, so that each is one look-up by the primary key.
        .where(own, predictions.c.horizon_s.in_(HORIZONS_S), predictions.c.issue_time == newest)
        .order_by(predictions.c.horizon_s)
    ).all()


def _of_horizon(series: Series, horizon_s: int) -> ColumnElement[bool]:
    return and_(
        scores.c.feed == series.feed,
        scores.c.symbol == series.symbol,
        scores.c.horizon_s == horizon_s,
    )


def select_scores(
    connection: Connection, series: Series, horizon_s: int, page: Page
) -> Sequence[Row[Any]]:
    """Return whole rows of ``scores`` by target time."""
    order = scores.c.target_time.desc() if page.newest_first else scores.c.target_time
    return connection.execute(
        select(scores)
        .where(_of_horizon(series, horizon_s), _between(scores.c.target_time, page))
        .order_by(order)
        .limit(page.limit)
    ).all()


def latest_score_time(connection: Connection, series: Series, horizon_s: int) -> int | None:
    """Return the newest target time that was scored."""
    newest: int | None = connection.scalar(
        select(func.max(scores.c.target_time)).where(_of_horizon(series, horizon_s))
    )
    return newest


def sum_scores(
    connection: Connection, series: Series, horizon_s: int, page: Page, width_us: int
) -> Sequence[Row[Any]]:
    """Return sums over each bucket of target times: the parts that any mean is made of.

    Columns: bucket, n, error (actual - predicted), absolute, squared, crps, crps_last_value,
    crps_baseline, inside_50, inside_80, inside_95, width_95.
    """
    error = scores.c.actual - scores.c.predicted

    def count(column: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(cast(column, Integer))

    bucket = _bucket(scores.c.target_time, width_us)
    return connection.execute(
        select(
            bucket,
            func.count().label("n"),
            func.sum(error).label("error"),
            func.sum(func.abs(error)).label("absolute"),
            func.sum(error * error).label("squared"),
            func.sum(scores.c.crps).label("crps"),
            func.sum(scores.c.crps_last_value).label("crps_last_value"),
            func.sum(scores.c.crps_baseline).label("crps_baseline"),
            count(scores.c.inside_50).label("inside_50"),
            count(scores.c.inside_80).label("inside_80"),
            count(scores.c.inside_95).label("inside_95"),
            func.sum(scores.c.width_95).label("width_95"),
        )
        .where(_of_horizon(series, horizon_s), _between(scores.c.target_time, page))
        .group_by(literal_column("bucket"))
        .order_by(literal_column("bucket"))
        .limit(page.limit)
    ).all()


def count_ticks(connection: Connection, series: Series) -> int:
    """Return how many ticks are kept, to the hour of the oldest: from the bars, so at once."""
    hour_us = max(BARS)
    oldest = first_tick_time(connection, series)
    if oldest is None:
        return 0
    table = BARS[hour_us]
    total: int | None = connection.scalar(
        select(func.sum(table.c.ticks)).where(
            table.c.feed == series.feed,
            table.c.symbol == series.symbol,
            table.c.start >= oldest - oldest % hour_us,
        )
    )
    return int(total or 0)


def store_bytes(connection: Connection) -> int:
    """Return the size of the database."""
    if connection.dialect.name == "sqlite":
        query = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    else:
        query = "SELECT pg_database_size(current_database())"
    return int(connection.execute(text(query)).scalar_one())
