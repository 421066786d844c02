"""Which rows are exported: of one table, a range of time, in batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, and_, select

from common.store.schema import (
    BARS,
    imported_bars,
    imported_metrics,
    imported_predictions,
    predictions,
    scores,
    ticks,
)

__all__ = ["EXPORTED", "TIMES", "Selection", "select_rows"]

_BATCH_ROWS = 5_000
TIMES = frozenset({"event_time", "receive_time", "issue_time", "target_time", "start"})

# By name: the table, and the column that a range of time means.
EXPORTED: dict[str, tuple[Table, Column[int]]] = {
    "ticks": (ticks, ticks.c.sequence),
    "predictions": (predictions, predictions.c.issue_time),
    "scores": (scores, scores.c.target_time),
    **{
        table.name: (table, table.c.start)
        for table in (*BARS.values(), imported_bars, imported_predictions, imported_metrics)
    },
}


@dataclass(frozen=True)
class Selection:
    """Rows of one of `EXPORTED` with ``start_us <= time < end_us``; None is every one."""

    table: str = "ticks"
    start_us: int | None = None
    end_us: int | None = None
    feed: str | None = None
    symbol: str | None = None


def select_rows(connection: Connection, selection: Selection) -> Iterator[Sequence[Row[Any]]]:
    """Yield the rows in batches, in the order of the primary key, never all at once."""
    table, time = EXPORTED[selection.table]
    wanted = (
        (table.c.feed, selection.feed),
        (table.c.symbol, selection.symbol),
    )
    where = [column == value for column, value in wanted if value is not None]
    if selection.start_us is not None:
        where.append(time >= selection.start_us)
    if selection.end_us is not None:
        where.append(time < selection.end_us)
    query = select(table).where(and_(True, *where)).order_by(*table.primary_key.columns)
    streaming = connection.execution_options(yield_per=_BATCH_ROWS)
    yield from streaming.execute(query).partitions()
