"""Rows as a Parquet file, which is written as they are read: its size costs no memory."""

from collections.abc import Iterator
from typing import IO, Any

from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import write_parquet
from sqlalchemy import BigInteger, Boolean, Column, Connection, Double, Integer

from common.store.selection import EXPORTED, TIMES, Selection, select_rows

__all__ = ["write_rows"]

_GROUP_ROWS = 50_000  # held in memory until they are written
_STAMP = DataType.timestamp("us", tz="UTC")


def write_rows(connection: Connection, selection: Selection, out: IO[bytes]) -> int:
    """Write the rows to ``out``, which need not be seekable; return how many."""
    columns = EXPORTED[selection.table][0].columns
    types = [_type_of(column) for column in columns]
    stored = [DataType.int64() if each == _STAMP else each for each in types]
    schema = Schema(
        [Field(c.name, each, nullable=True) for c, each in zip(columns, types, strict=True)]
    )
    count = 0

    def batches() -> Iterator[RecordBatch]:
        nonlocal count
        for rows in select_rows(connection, selection):
            arrays = [
                Array(list(values), kind).cast(wanted)
                for values, kind, wanted in zip(zip(*rows, strict=True), stored, types, strict=True)
            ]
            count += len(rows)
            yield RecordBatch.from_arrays(arrays, schema=schema)

    reader = RecordBatchReader.from_batches(schema, batches())
    write_parquet(reader, out, compression="zstd(3)", max_row_group_size=_GROUP_ROWS)
    return count


def _type_of(column: Column[Any]) -> DataType:
    if column.name in TIMES:
        return _STAMP
    for kind, found in (
        (BigInteger, DataType.int64()),
        (Integer, DataType.int32()),
        (Double, DataType.float64()),
        (Boolean, DataType.bool()),
    ):
        if isinstance(column.type, kind):
            return found
    return DataType.utf8()
