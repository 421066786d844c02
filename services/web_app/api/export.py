"""A range of history as a file, sent while it is read, so that its size costs no memory."""

import os
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import IO, Literal

from flask import Blueprint, Response

from common.clock import from_micros
from common.store.export import Format, csv_lines
from common.store.parquet import write_rows
from common.store.selection import Selection
from web_app.api.params import SpanQuery, bounds, read_query, require_symbol
from web_app.api.stream import limit_sends
from web_app.runtime import Runtime

__all__ = ["MEDIA_TYPES", "ExportQuery", "add_export"]

_USUAL = timedelta(hours=1)
_LONGEST = timedelta(days=7)
_CHUNK = 1 << 16
MEDIA_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


class ExportQuery(SpanQuery):
    """At most seven days of one table; predictions and scores of all horizons."""

    table: Literal["ticks", "bars_1s", "bars_1m", "bars_1h", "predictions", "scores"] = "ticks"
    format: Format = "csv"


def add_export(api: Blueprint, runtime: Runtime) -> None:
    """Add the route to ``api``."""

    @api.get("/export")
    def export() -> Response:
        query = read_query(ExportQuery)
        symbol = require_symbol(query.symbol, runtime.settings.symbols)
        start, end = bounds(query.start, query.end, runtime.clock.now(), _USUAL, _LONGEST)
        feed = runtime.settings.feed
        limit_sends()
        selection = Selection(query.table, start, end, feed, symbol)
        body = _lines if query.format == "csv" else _file
        answer = Response(body(runtime, selection), mimetype=MEDIA_TYPES[query.format])
        first = from_micros(start).strftime("%Y%m%dT%H%M%SZ")
        name = f"{symbol}_{feed}_{query.table}_{first}.{query.format}"
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        answer.headers["Cache-Control"] = "no-store"
        return answer


def _lines(runtime: Runtime, selection: Selection) -> Generator[str]:
    with runtime.engine.connect() as connection:
        yield from csv_lines(connection, selection)


def _file(runtime: Runtime, selection: Selection) -> Generator[bytes]:
    def write(out: IO[bytes]) -> None:
        with runtime.engine.connect() as connection:
            write_rows(connection, selection, out)

    return _written(write)


def _written(write: Callable[[IO[bytes]], None]) -> Generator[bytes]:
    """Yield what ``write`` writes, from a thread of its own; raises what it dies of.

    They are joined by a pipe: a slow client slows the writer down, and one that is gone ends it.
    """
    reading, writing = os.pipe()

    def run() -> None:
        with os.fdopen(writing, "wb") as out:
            write(out)

    with ThreadPoolExecutor(1, "export") as pool, os.fdopen(reading, "rb") as source:
        written = pool.submit(run)
        while chunk := source.read1(_CHUNK):
            yield chunk
        written.result()
