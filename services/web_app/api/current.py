"""What is: symbols, the newest tick and forecasts, scores up to now, models."""

from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Response
from sqlalchemy import Connection

from common.clock import from_micros
from common.store import queries
from common.wire import HORIZONS_S
from web_app.api import models
from web_app.api.answers import json_answer
from web_app.api.params import (
    DEFAULT_HORIZON_S,
    NoQuery,
    RangeQuery,
    SymbolQuery,
    bounds,
    read_query,
    require_horizon,
    require_symbol,
)
from web_app.registry import read_models
from web_app.runtime import Runtime
from web_app.scoreboard import Summary, summarise

__all__ = ["ScoreSeriesQuery", "ScoresQuery", "add_current"]

_US = 1_000_000
_WINDOWS = {"5m": timedelta(minutes=5), "1h": timedelta(hours=1), "24h": timedelta(days=1)}
_MAX_STEPS = 2_000


class ScoresQuery(SymbolQuery):
    """Scores of all horizons over one window up to now."""

    window: Literal["5m", "1h", "24h"] = "1h"


class ScoreSeriesQuery(RangeQuery):
    """Scores of one horizon over time, one for each step, at most 2,000 steps."""

    horizon_s: int = DEFAULT_HORIZON_S
    step_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 60


def add_current(api: Blueprint, runtime: Runtime) -> None:
    """Add the routes to ``api``."""
    known = runtime.settings.symbols

    def series(symbol: str | None) -> queries.Series:
        return runtime.series(require_symbol(symbol, known))

    @api.get("/symbols")
    def symbols() -> Response:
        read_query(NoQuery)
        with runtime.engine.connect() as connection:
            items = [_symbol(connection, runtime.series(symbol)) for symbol in known]
        return json_answer({"feed": runtime.settings.feed, "items": items}, max_age_s=1)

    @api.get("/latest")
    def latest() -> Response:
        return json_answer(_latest(runtime, series(read_query(SymbolQuery).symbol)))

    @api.get("/scores")
    def scores() -> Response:
        query = read_query(ScoresQuery)
        own, window = series(query.symbol), _WINDOWS[query.window]
        now = runtime.clock.now()
        start, end = bounds(now - window, now, now, window, window)
        page = queries.Page(start, end, limit=_MAX_STEPS)
        with runtime.engine.connect() as connection:
            items = [
                {"horizon_s": horizon}
                | msgspec.structs.asdict(_summary(connection, own, horizon, page))
                for horizon in HORIZONS_S
            ]
        return json_answer({"window": query.window, "items": items}, max_age_s=1)

    @api.get("/scores/series")
    def score_series() -> Response:
        query = read_query(ScoreSeriesQuery)
        step = timedelta(seconds=query.step_s)
        now = runtime.clock.now()
        start, end = bounds(query.start, query.end, now, 60 * step, _MAX_STEPS * step)
        page = queries.Page(start, end, limit=_MAX_STEPS + 1)
        horizon = require_horizon(query.horizon_s)
        with runtime.engine.connect() as connection:
            rows = queries.sum_scores(
                connection, series(query.symbol), horizon, page, query.step_s * _US
            )
        columns = _series_columns([(row.bucket / _US, summarise([row])) for row in rows])
        return json_answer({"horizon_s": horizon, "step_s": query.step_s, "columns": columns})

    @api.get("/models")
    def model_list() -> Response:
        read_query(NoQuery)
        return json_answer(read_models(runtime.settings.model_dir), max_age_s=5)


def _summary(
    connection: Connection, own: queries.Series, horizon: int, page: queries.Page
) -> Summary:
    return summarise(queries.sum_scores(connection, own, horizon, page, 60 * _US))


def _series_columns(points: list[tuple[float, Summary]]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"time": [time for time, _ in points]}
    for field in msgspec.structs.fields(Summary):
        values = (getattr(summary, field.name) for _, summary in points)
        columns[field.name] = [round(v, 6) if isinstance(v, float) else v for v in values]
    return columns


def _symbol(connection: Connection, own: queries.Series) -> dict[str, Any]:
    first = queries.first_tick_time(connection, own)
    last = queries.latest_tick(connection, own)
    return {
        "symbol": own.symbol,
        "first_tick": None if first is None else from_micros(first),
        "last_tick": None if last is None else from_micros(last.sequence),
        "horizons_s": list(HORIZONS_S),
    }


def _latest(runtime: Runtime, own: queries.Series) -> models.LatestAnswer:
    """Prefer what Kafka brought; ask the store for what it did not."""
    tick = runtime.hub.latest_tick(own.symbol)
    prediction = runtime.hub.latest_prediction(own.symbol)
    item = models.tick_from_wire(tick) if tick else None
    if prediction is not None and item is not None:
        return models.latest_answer(own, item, prediction)
    with runtime.engine.connect() as connection:
        if item is None:
            row = queries.latest_tick(connection, own)
            item = None if row is None else models.tick_item(row)
        found = prediction or list(queries.latest_prediction(connection, own))
    return models.latest_answer(own, item, found)
