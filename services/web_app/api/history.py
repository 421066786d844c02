"""What was: ticks, bars and predictions from the store; ranged, paged, cacheable."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Response
from sqlalchemy import Row

from common.store import queries
from web_app.api import models
from web_app.api.answers import json_answer
from web_app.api.paging import cut_page, open_page
from web_app.api.params import (
    DEFAULT_HORIZON_S,
    Horizon,
    RangeQuery,
    bounds,
    read_query,
    require_symbol,
)
from web_app.runtime import Runtime

__all__ = ["INTERVALS", "BarsQuery", "PredictionsQuery", "TicksQuery", "add_history"]

_US = 1_000_000
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_MAX_BARS = 4_000
_USUAL_BARS = 600
INTERVALS = {
    "1s": 1,
    "5s": 5,
    "15s": 15,
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "1h": 3_600,
    "4h": 14_400,
    "1d": 86_400,
}

Limit = Annotated[int, msgspec.Meta(ge=1, le=5_000)]
Layout = Literal["items", "columns"]


class TicksQuery(RangeQuery):
    """Ticks by time, at most a day at once."""

    limit: Limit = 1_000


class BarsQuery(RangeQuery):
    """Bars of one width, at most 4,000 of them; ``columns`` is the compact form for charts."""

    interval: Literal["1s", "5s", "15s", "1m", "5m", "15m", "1h", "4h", "1d"] = "1m"
    limit: Annotated[int, msgspec.Meta(ge=1, le=_MAX_BARS)] = _MAX_BARS
    layout: Layout = "items"


class PredictionsQuery(RangeQuery):
    """Predictions of one horizon by issue time, at most a day; with ``step_s`` one for each."""

    horizon_s: Horizon = DEFAULT_HORIZON_S
    step_s: Annotated[int, msgspec.Meta(ge=0, le=3_600)] = 0
    limit: Limit = 1_000
    layout: Layout = "items"


def add_history(api: Blueprint, runtime: Runtime) -> None:
    """Add the routes to ``api``."""

    def series(symbol: str | None) -> queries.Series:
        return runtime.series(require_symbol(symbol, runtime.settings.symbols))

    @api.get("/ticks")
    def ticks() -> Response:
        query = read_query(TicksQuery)
        start, end = bounds(query.start, query.end, runtime.clock.now(), _HOUR, _DAY)
        page = open_page(query, start, end, query.limit)
        with runtime.engine.connect() as connection:
            found = queries.select_ticks(connection, series(query.symbol), page)
        rows, cursor = cut_page(found, query.limit, page.newest_first, lambda row: row.sequence)
        return json_answer({"items": list(map(models.tick_item, rows)), "next_cursor": cursor})

    @api.get("/bars")
    def bars() -> Response:
        query = read_query(BarsQuery)
        width = timedelta(seconds=INTERVALS[query.interval])
        now = runtime.clock.now()
        start, end = bounds(query.start, query.end, now, _USUAL_BARS * width, _MAX_BARS * width)
        width_us = INTERVALS[query.interval] * _US
        # Whole bars: the last one begins before ``end`` and has all that is its own.
        first, beyond = start - start % width_us, end + -end % width_us
        page = open_page(query, first, beyond, query.limit)

        def last_of(bar: Row[Any]) -> int:
            return int(bar.bucket) + (0 if page.newest_first else width_us - 1)

        with runtime.engine.connect() as connection:
            found = queries.select_bars(connection, series(query.symbol), page, width_us)
        rows, cursor = cut_page(found, query.limit, page.newest_first, last_of)
        body = _bar_columns(rows) if query.layout == "columns" else list(map(models.bar_item, rows))
        return json_answer({query.layout: body, "next_cursor": cursor})

    @api.get("/predictions")
    def predictions() -> Response:
        query = read_query(PredictionsQuery)
        start, end = bounds(query.start, query.end, runtime.clock.now(), _HOUR, _DAY)
        page = open_page(query, start, end, query.limit)
        horizon = query.horizon_s
        with runtime.engine.connect() as connection:
            found = queries.select_predictions(
                connection, series(query.symbol), horizon, page, query.step_s * _US
            )
        rows, cursor = cut_page(found, query.limit, page.newest_first, lambda row: row.issue_time)
        if query.layout == "columns":
            return json_answer({"columns": _prediction_columns(rows), "next_cursor": cursor})
        items = list(map(models.prediction_item, rows))
        return json_answer({"items": items, "next_cursor": cursor})


def _columns(rows: list[Row[Any]]) -> dict[str, tuple[Any, ...]]:
    """Return the rows by column: reading a row's values by name would cost more than the query."""
    return dict(zip(rows[0]._fields, zip(*rows, strict=True), strict=True)) if rows else {}


def _bar_columns(rows: list[Row[Any]]) -> dict[str, Sequence[float]]:
    found = _columns(rows)
    columns: dict[str, Sequence[float]] = {
        "time": [bucket / _US for bucket in found.get("bucket", ())]
    }
    for name in ("open", "high", "low", "close", "mid"):
        columns[name] = found.get(name, ())
    columns["volume"] = [round(volume, 6) for volume in found.get("volume", ())]  # of a sum
    return columns


def _prediction_columns(rows: list[Row[Any]]) -> dict[str, list[float | None]]:
    found = _columns(rows)
    columns: dict[str, list[float | None]] = {
        name: [moment / _US for moment in found.get(name, ())]
        for name in ("issue_time", "target_time")
    }
    for name in ("mean", "reference_price", *queries.QUANTILE_COLUMNS, "actual"):
        values = found.get(name, ())
        columns[name] = [None if value is None else round(value, 4) for value in values]
    return columns
