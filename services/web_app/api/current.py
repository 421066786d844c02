"""What is: symbols, the newest tick and forecasts, scores up to now, models."""

from datetime import timedelta
from itertools import groupby
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Response
from sqlalchemy import Connection

from common.clock import from_micros, to_micros
from common.store import queries
from common.wire import HORIZONS_S
from web_app.api import models
from web_app.api.answers import json_answer
from web_app.api.params import (
    DEFAULT_HORIZON_S,
    Horizon,
    NoQuery,
    SpanQuery,
    SymbolQuery,
    bounds,
    read_query,
    require_symbol,
)
from web_app.live import Event
from web_app.registry import read_models
from web_app.runtime import Runtime
from web_app.scoreboard import Summary, Sums, summarise
from web_app.scorebook import DAY_US, MINUTE_US

__all__ = ["ScoreSeriesQuery", "ScoresQuery", "add_current"]

_US = 1_000_000
_DAY = timedelta(days=1)
_WINDOWS_US = {"5m": 300 * _US, "1h": 3_600 * _US, "24h": DAY_US}
_SHORT_US = 300 * _US
_MAX_STEPS = 2_000


class ScoresQuery(SymbolQuery):
    """Scores of all horizons over one window up to now."""

    window: Literal["5m", "1h", "24h"] = "1h"


class ScoreSeriesQuery(SpanQuery):
    """Scores of one horizon over time, one for each step: at most 2,000 steps and a day."""

    horizon_s: Horizon = DEFAULT_HORIZON_S
    step_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 60


def add_current(api: Blueprint, runtime: Runtime) -> None:
    """Add the routes to ``api``."""
    known = runtime.settings.symbols
    newest: dict[str, tuple[tuple[Event | None, Event | None], bytes]] = {}  # encoded once each
    scored: dict[tuple[str, str], tuple[int, bytes]] = {}  # computed once a second each

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
        own = series(read_query(SymbolQuery).symbol)
        heads = (
            runtime.hub.latest(own.symbol, "tick"),
            runtime.hub.latest(own.symbol, "prediction"),
        )
        kept = newest.get(own.symbol)
        if kept is None or kept[0] != heads or None in heads:
            newest[own.symbol] = kept = (heads, msgspec.json.encode(_latest(runtime, own)))
        return json_answer(kept[1])

    @api.get("/scores")
    def scores() -> Response:
        query = read_query(ScoresQuery)
        own = series(query.symbol)
        now = to_micros(runtime.clock.now())
        key = (own.symbol, query.window)
        second, body = scored.get(key, (0, b""))
        if second != now // _US:  # every viewer asks for the same
            items = [
                {"horizon_s": horizon} | msgspec.structs.asdict(summarise(sums))
                for horizon in HORIZONS_S
                for sums in [_sums(runtime, own, horizon, now, _WINDOWS_US[query.window])]
            ]
            body = msgspec.json.encode({"window": query.window, "items": items})
            scored[key] = (now // _US, body)
        return json_answer(body, max_age_s=1)

    @api.get("/scores/series")
    def score_series() -> Response:
        query = read_query(ScoreSeriesQuery)
        step = timedelta(seconds=query.step_s)
        now = runtime.clock.now()
        longest = min(_MAX_STEPS * step, _DAY)
        start, end = bounds(query.start, query.end, now, min(60 * step, longest), longest)
        horizon = query.horizon_s
        steps = _steps(runtime, series(query.symbol), horizon, start, end, query.step_s * _US)
        columns = _series_columns([(time / _US, summarise(sums)) for time, sums in steps])
        return json_answer({"horizon_s": horizon, "step_s": query.step_s, "columns": columns})

    @api.get("/models")
    def model_list() -> Response:
        read_query(NoQuery)
        with runtime.engine.connect() as connection:
            found = read_models(connection, runtime.settings.feed)
        return json_answer(found, max_age_s=5)


def _sums(
    runtime: Runtime, own: queries.Series, horizon: int, now: int, window_us: int
) -> list[Sums]:
    """Return what was scored in the window up to now.

    The newest five minutes are exact; what is before comes by the minute from the score book, which
    is a few seconds old. So a longer window always has all of a shorter one.
    """
    recent = now - _SHORT_US
    if window_us > _SHORT_US:
        recent -= recent % MINUTE_US
    page = queries.Page(recent, now + _US, limit=_MAX_STEPS)
    with runtime.engine.connect() as connection:
        rows = queries.sum_scores(connection, own, horizon, page, MINUTE_US)
    older = runtime.scores.sums(own.symbol, horizon, now - window_us, recent)
    return older + list(map(Sums.of, rows))


def _steps(
    runtime: Runtime, own: queries.Series, horizon: int, start: int, end: int, step_us: int
) -> list[tuple[int, list[Sums]]]:
    if step_us % MINUTE_US == 0 and start >= to_micros(runtime.clock.now()) - DAY_US - MINUTE_US:
        minutes = runtime.scores.sums(own.symbol, horizon, start, end)
    else:
        page = queries.Page(start, end, limit=_MAX_STEPS + 1)
        with runtime.engine.connect() as connection:
            rows = queries.sum_scores(connection, own, horizon, page, step_us)
        minutes = list(map(Sums.of, rows))
    steps = groupby(minutes, key=lambda each: each.bucket - each.bucket % step_us)
    return [(time, list(sums)) for time, sums in steps]


def _series_columns(points: list[tuple[float, Summary]]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"time": [time for time, _ in points]}
    for field in msgspec.structs.fields(Summary):
        values = (getattr(summary, field.name) for _, summary in points)
        columns[field.name] = [round(v, 6) if isinstance(v, float) else v for v in values]
    return columns


def _symbol(connection: Connection, own: queries.Series) -> dict[str, Any]:
    first = queries.first_tick_time(connection, own)
    bar = queries.first_bar_time(connection, own)
    last = queries.latest_tick(connection, own)
    return {
        "symbol": own.symbol,
        "first_tick": None if first is None else from_micros(first),
        "first_bar": None if bar is None else from_micros(bar),
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
