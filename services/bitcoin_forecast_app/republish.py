"""Predictions as they were stored, for a start after a crash between commit and publication."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from bitcoin_forecast_app.engine import Key
from bitcoin_forecast_app.history import (
    QUANTILE_COLUMNS,
    forecast_rows,
    tick_rows,
    to_observation,
)
from common.clock import from_micros
from common.store.schema import scores
from common.wire import HORIZONS_S, HorizonForecast, Outcome, Prediction

__all__ = ["stored_predictions"]


def stored_predictions(connection: Connection, key: Key, newest: int) -> list[Prediction]:
    """Return the predictions of the ``newest`` stored ticks, equal to those first published."""
    rows = tick_rows(
        connection, key, -1, newest + 1
    )  # one more: where the first one's scores begin
    times = [to_observation(row).time_us for row in rows]
    forecasts = forecast_rows(connection, key, times[0]) if rows else {}
    found = []
    for row, before_us, time_us in zip(rows[1:], times, times[1:], strict=False):
        due = _scores(connection, key, before_us, time_us)
        if row.sequence in forecasts:
            found.append(_prediction(row, forecasts[row.sequence], due))
    return found


def _scores(connection: Connection, key: Key, after_us: int, until_us: int) -> Sequence[Row[Any]]:
    return connection.execute(
        select(scores)
        .where(
            scores.c.feed == key.feed,
            scores.c.symbol == key.symbol,
            scores.c.horizon_s.in_(HORIZONS_S),
            scores.c.target_time > after_us,
            scores.c.target_time <= until_us,
        )
        .order_by(scores.c.horizon_s, scores.c.target_time, scores.c.issue_time)
    ).all()


def _prediction(tick: Row[Any], rows: Sequence[Row[Any]], due: Iterable[Row[Any]]) -> Prediction:
    return Prediction(
        symbol=tick.symbol,
        venue=tick.venue,
        feed=tick.feed,
        sequence=tick.sequence,
        issue_time=from_micros(rows[0].issue_time),
        reference_price=rows[0].reference_price,
        model_version=rows[0].model_version,
        horizons=tuple(
            HorizonForecast(
                horizon_s=row.horizon_s,
                target_time=from_micros(row.target_time),
                mean=row.mean,
                quantiles=tuple(getattr(row, name) for name in QUANTILE_COLUMNS),
            )
            for row in rows
        ),
        outcomes=tuple(map(_outcome, due)),
    )


_PLAIN = [
    "horizon_s",
    "model_version",
    "reference_price",
    "predicted",
    "actual",
    "crps",
    "crps_last_value",
    "crps_baseline",
    "inside_50",
    "inside_80",
    "inside_95",
    "width_95",
]


def _outcome(row: Row[Any]) -> Outcome:
    return Outcome(
        issue_time=from_micros(row.issue_time),
        target_time=from_micros(row.target_time),
        **{name: getattr(row, name) for name in _PLAIN},
    )
