"""Rows of a range of time as CSV or Parquet: for the command, and line by line for the API."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Engine,
    Integer,
    Row,
    Table,
    and_,
    select,
)

from common.clock import from_micros
from common.errors import StoreFileError
from common.store.files import appearing
from common.store.schema import (
    BARS,
    imported_bars,
    imported_metrics,
    imported_predictions,
    predictions,
    scores,
    ticks,
)

__all__ = ["EXPORTED", "Format", "Selection", "csv_lines", "export_file", "select_rows"]

Format = Literal["csv", "parquet"]
_BATCH_ROWS = 5_000
_TIMES = frozenset({"event_time", "receive_time", "issue_time", "target_time", "start"})

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


def csv_lines(connection: Connection, selection: Selection) -> Iterator[str]:
    """Yield the header and then a batch of lines at a time; times are ISO 8601 in UTC."""
    names = [column.name for column in EXPORTED[selection.table][0].columns]
    timed = [name in _TIMES for name in names]
    yield _lines([names])
    for rows in select_rows(connection, selection):
        yield _lines(
            [_iso(value) if is_time else value for value, is_time in zip(row, timed, strict=True)]
            for row in rows
        )


def _iso(micros: int) -> str:
    return from_micros(micros).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _lines(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def export_file(engine: Engine, selection: Selection, form: Format, file: Path) -> int:
    """Write the rows to ``file``, replacing it at the end; return how many.

    Raises `StoreFileError` where it cannot be written or Parquet's library is not installed.
    """
    assert form in get_args(Format)
    with engine.connect() as connection:
        if form == "parquet":
            return _write_parquet(connection, selection, file)
        with appearing(file) as partial, partial.open("w", encoding="utf-8", newline="") as out:
            lines = -1  # the header
            for text in csv_lines(connection, selection):
                out.write(text)
                lines += text.count("\n")
        return lines


def _write_parquet(connection: Connection, selection: Selection, file: Path) -> int:
    try:
        import pyarrow as pa  # optional and large: only where it is asked for
        import pyarrow.parquet as pq
    except ImportError as error:
        raise StoreFileError(
            "Parquet needs pyarrow, which is not installed here: install it, or take --format csv"
        ) from error
    table = EXPORTED[selection.table][0]
    schema = pa.schema([(column.name, _arrow_type(pa, column)) for column in table.columns])
    count = 0
    with appearing(file) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as out:
        for rows in select_rows(connection, selection):
            columns = zip(*rows, strict=True)
            arrays = [
                pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)
            ]
            out.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(rows)
    return count


def _arrow_type(pa: Any, column: Column[Any]) -> Any:
    if column.name in _TIMES:
        return pa.timestamp("us", tz="UTC")
    for kind, found in (
        (BigInteger, pa.int64()),
        (Integer, pa.int32()),
        (Double, pa.float64()),
        (Boolean, pa.bool_()),
    ):
        if isinstance(column.type, kind):
            return found
    return pa.string()
