"""Rows of a range of time as CSV or Parquet: for the command, and piece by piece for the API."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Engine

from common.clock import from_micros
from common.store.files import appearing
from common.store.parquet import write_rows
from common.store.selection import EXPORTED, TIMES, Selection, select_rows

__all__ = ["Format", "csv_lines", "export_file"]

Format = Literal["csv", "parquet"]


def csv_lines(connection: Connection, selection: Selection) -> Iterator[str]:
    """Yield the header and then a batch of lines at a time; times are ISO 8601 in UTC."""
    names = [column.name for column in EXPORTED[selection.table][0].columns]
    timed = [name in TIMES for name in names]
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

    Raises `StoreFileError` where it cannot be written.
    """
    assert form in get_args(Format)
    with engine.connect() as connection:
        if form == "parquet":
            with appearing(file) as partial, partial.open("wb") as binary:
                return write_rows(connection, selection, binary)
        with appearing(file) as partial, partial.open("w", encoding="utf-8", newline="") as out:
            lines = -1  # the header
            for text in csv_lines(connection, selection):
                out.write(text)
                lines += text.count("\n")
        return lines
