"""Rows as a Parquet file, which is written as they are read: its size costs no memory."""

import io
from collections.abc import Iterator
from typing import IO, Any, cast

from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import write_parquet
from sqlalchemy import BigInteger, Boolean, Column, Connection, Double, Integer

from common.store.selection import EXPORTED, TIMES, Selection, select_rows

__all__ = ["write_rows"]

_GROUP_ROWS = 10_000  # held in memory, and compressed at once: 50 ms in which nothing else runs
_STAMP = DataType.timestamp("us", tz="UTC")


class _Guard:
    """Stands between the library and the world: an error within a call would bring it down.

    The first one is kept, from then on the rows end and what is written goes nowhere.
    """

    def __init__(self, batches: Iterator[RecordBatch], out: IO[bytes]) -> None:
        self._batches = batches
        self._out = out
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[RecordBatch]:
        try:
            for batch in self._batches:
                if self.error is not None:
                    return
                yield batch
        except Exception as error:  # noqa: BLE001 - is raised when the library has returned
            self.error = error

    def write(self, data: bytes) -> int:
        """Write ``data``, or nothing after an error."""
        if self.error is None:
            try:
                self._out.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        """Leave that to the file's owner."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Refuse; the library wants to see that there is such a method."""
        raise io.UnsupportedOperation(f"seek {offset} {whence}")


def write_rows(connection: Connection, selection: Selection, out: IO[bytes]) -> int:
    """Write the rows to ``out``, which need not be seekable; return how many.

    Raises `OSError` where it cannot be written, `SQLAlchemyError` where they cannot be read.
    """
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

    guard = _Guard(batches(), out)
    reader = RecordBatchReader.from_batches(schema, iter(guard))
    file = cast("IO[bytes]", guard)
    write_parquet(reader, file, compression="zstd(3)", max_row_group_size=_GROUP_ROWS)
    if guard.error is not None:
        raise guard.error
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
