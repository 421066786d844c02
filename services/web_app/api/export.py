"""A range of history as CSV, sent while it is read, so that its size costs no memory."""

from collections.abc import Generator
from datetime import timedelta
from typing import Literal

from flask import Blueprint, Response

from common.clock import from_micros
from common.store.export import Selection, csv_lines
from web_app.api.params import SpanQuery, bounds, read_query, require_symbol
from web_app.api.stream import limit_sends
from web_app.runtime import Runtime

__all__ = ["ExportQuery", "add_export"]

_USUAL = timedelta(hours=1)
_LONGEST = timedelta(days=7)


class ExportQuery(SpanQuery):
    """At most seven days of one table; predictions and scores of all horizons."""

    table: Literal["ticks", "bars_1s", "bars_1m", "bars_1h", "predictions", "scores"] = "ticks"


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
        answer = Response(_lines(runtime, selection), mimetype="text/csv")
        first = from_micros(start).strftime("%Y%m%dT%H%M%SZ")
        name = f"{symbol}_{feed}_{query.table}_{first}.csv"
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        answer.headers["Cache-Control"] = "no-store"
        return answer


def _lines(runtime: Runtime, selection: Selection) -> Generator[str]:
    with runtime.engine.connect() as connection:
        yield from csv_lines(connection, selection)
