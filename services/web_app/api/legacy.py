"""The earlier system's routes, exactly as its clients know them; times are UTC without zone."""

from collections import deque
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response
from sqlalchemy import Row

from common.clock import from_micros, to_micros
from common.log import get_logger
from common.store import queries
from web_app.api.answers import json_answer
from web_app.api.params import Horizon, SymbolQuery, read_query, require_symbol
from web_app.runtime import Runtime
from web_app.scoreboard import REPORT_HORIZON_S, Summary, Sums, log_error_statistics, summarise
from web_app.scorebook import DAY_US, MINUTE_US

__all__ = ["LegacyQuery", "MetricsDataQuery", "add_legacy"]

_log = get_logger(__name__)

_US = 1_000_000
_HOUR_US = 3_600 * _US
_RECENT_US = 300 * _US
_FORMAT = "%Y-%m-%dT%H:%M:%S"
_ROLLING = 60  # points, over which std, mae and rmse of a point are taken
_LOWER, _UPPER = "q025", "q975"


class LegacyQuery(SymbolQuery):
    """The earlier routes took nothing; symbol and horizon are additions."""

    horizon_s: Horizon = REPORT_HORIZON_S


class MetricsDataQuery(LegacyQuery):
    """Bounded, unlike before: the newest ``limit`` points with a stamp after ``since``."""

    since: (
        Annotated[
            datetime,
            msgspec.Meta(
                description="RFC 3339, or a timestamp of these routes: UTC without a zone",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | None
    ) = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 3_600


def add_legacy(api: Blueprint, runtime: Runtime) -> None:
    """Add the routes to ``api``."""

    def series(query: SymbolQuery) -> queries.Series:
        return runtime.series(require_symbol(query.symbol, runtime.settings.symbols))

    def last_hour(limit: int = 3_700) -> queries.Page:
        now = to_micros(runtime.clock.now())
        return queries.Page(now - _HOUR_US, now + _US, limit)

    @api.get("/price-data")
    def price_data() -> Response:
        own = series(read_query(LegacyQuery, tolerant=True))
        with runtime.engine.connect() as connection:
            rows = queries.select_bars(connection, own, last_hour(), _US)
        return json_answer([_bar(row) for row in rows])

    @api.get("/prediction-data")
    def prediction_data() -> Response:
        query = read_query(LegacyQuery, tolerant=True)
        own, horizon = series(query), query.horizon_s
        with runtime.engine.connect() as connection:
            rows = queries.select_predictions(connection, own, horizon, last_hour())
        return json_answer([_prediction(row) for row in rows])

    @api.get("/metrics-data")
    def metrics_data() -> Response:
        query = read_query(MetricsDataQuery, tolerant=True)
        own, horizon = series(query), query.horizon_s
        points, head, total = _metrics(runtime, own, horizon, query)
        _log.info(f"Returning {len(points)} metrics data points")
        log_error_statistics(own.symbol, total)
        return json_answer([head, *points])

    @api.get("/data")
    def data() -> Response:
        query = read_query(LegacyQuery, tolerant=True)
        own, horizon = series(query), query.horizon_s
        with runtime.engine.connect() as connection:
            bars = queries.select_bars(connection, own, last_hour(), _US)
            forecasts = queries.select_predictions(connection, own, horizon, last_hour())
            scored = queries.select_scores(connection, own, horizon, last_hour())
        return json_answer(_overview(bars, forecasts, scored))


def _stamp(micros: int) -> str:
    return from_micros(micros).strftime(_FORMAT)


def _after(moment: datetime) -> int:
    """Return where the stamps after that of ``moment`` begin: stamps are whole seconds."""
    stamp = to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return stamp - stamp % _US + _US


def _bar(row: Row[Any]) -> dict[str, Any]:
    names = ("open", "high", "low", "close", "volume")
    return {"timestamp": _stamp(row.bucket)} | {name: getattr(row, name) for name in names}


def _prediction(row: Row[Any]) -> dict[str, Any]:
    return {
        "timestamp": _stamp(row.target_time),
        "pred_price": row.q500,
        "pred_lower": getattr(row, _LOWER),
        "pred_upper": getattr(row, _UPPER),
    }


def _metrics(
    runtime: Runtime, own: queries.Series, horizon: int, query: MetricsDataQuery
) -> tuple[list[dict[str, Any]], dict[str, Any], Summary]:
    now = to_micros(runtime.clock.now()) + _US
    since = now - _HOUR_US if query.since is None else _after(query.since)
    before = (_ROLLING - 1) * _US  # so that the first point has its statistics too
    page = queries.Page(max(0, since - before), now, query.limit + _ROLLING, newest_first=True)
    recent = queries.Page(now - _RECENT_US, now, 100)
    with runtime.engine.connect() as connection:
        rows = queries.select_scores(connection, own, horizon, page)
        recently = queries.sum_scores(connection, own, horizon, recent, MINUTE_US)
    total = summarise(runtime.scores.sums(own.symbol, horizon, now - DAY_US, now))
    shown = sum(row.target_time >= since for row in rows)
    points = _rolling(list(reversed(rows)))[-min(shown, query.limit) :] if shown else []
    return points, _head(now, summarise(map(Sums.of, recently)), total), total


def _head(now: int, recent: Summary, total: Summary) -> dict[str, Any]:
    return {
        "is_metadata": True,
        "timestamp": _stamp(now),
        "recent_avg_error": recent.bias or 0.0,
        "recent_mae": recent.mae or 0.0,
        "total_avg_error": total.bias or 0.0,
        "total_mae": total.mae or 0.0,
    }


def _rolling(rows: list[Row[Any]]) -> list[dict[str, Any]]:
    """Return each point with the statistics of it and the points before it."""
    points = []
    window: deque[float] = deque(maxlen=_ROLLING)
    for row in rows:
        window.append(row.actual - row.predicted)
        n = len(window)
        mean = sum(window) / n
        square = sum(error * error for error in window) / n
        points.append(
            {
                "timestamp": _stamp(row.target_time),
                "std": max(0.0, square - mean * mean) ** 0.5,
                "mae": sum(map(abs, window)) / n,
                "rmse": square**0.5,
                "actual_error": window[-1],
            }
        )
    return points


def _overview(bars: Any, forecasts: Any, scored: Any, shown: int = 1_800) -> dict[str, Any]:
    bars, forecasts = list(bars)[-shown:], list(forecasts)[-shown:]
    errors = [abs(row.predicted - row.actual) for row in scored]
    shares = [abs(row.predicted - row.actual) / row.actual for row in scored if row.actual]
    newest = bars[-1] if bars else None
    return {
        "current_price": newest.close if newest else None,
        "predicted_price": forecasts[-1].q500 if forecasts else None,
        "mae": sum(errors) / len(errors) if errors else None,
        "mape": 100 * sum(shares) / len(shares) if shares else None,
        "timestamp": _stamp(newest.bucket) if newest else None,
        "recent_data": {
            "timestamps": [_stamp(row.bucket) for row in bars],
            "prices": [row.close for row in bars],
            "prediction_timestamps": [_stamp(row.target_time) for row in forecasts],
            "predictions": [row.q500 for row in forecasts],
            "lower": [getattr(row, _LOWER) for row in forecasts],
            "upper": [getattr(row, _UPPER) for row in forecasts],
        },
        "plot_settings": {"window_minutes": shown // 60, "refresh_interval_ms": 1_000},
    }
