"""Warm start: the engine's state rebuilt from the newest stored ticks."""

from dataclasses import replace

import numpy as np
from sqlalchemy import Connection

from bitcoin_forecast_app.engine import Engine, Key
from bitcoin_forecast_app.forecaster import Forecaster
from bitcoin_forecast_app.history import StoredForecast, list_series, read_ticks, stored_forecasts
from bitcoin_forecast_app.observation import SECOND_US, Observation
from bitcoin_forecast_app.settlement import Issue
from common.wire import HORIZONS_S

__all__ = ["warm_up"]

_TICKS_IN_ALL = 1_500  # bounds the start to about a second, however many series there are
_TICKS_LEAST = 60  # per series


def warm_up(engine: Engine, connection: Connection) -> int:
    """Bring ``engine`` up to the newest stored tick of each series; return the ticks taken in.

    Called again, it takes in what was stored since. Nothing is issued or scored anew: forecasts
    that were stored wait for their outcomes as they were published.
    """
    keys = list_series(connection)
    newest = max(_TICKS_LEAST, _TICKS_IN_ALL // max(1, len(keys)))
    return sum(_warm_up_one(engine, connection, key, newest) for key in keys)


def _warm_up_one(engine: Engine, connection: Connection, key: Key, newest: int) -> int:
    rows = read_ticks(connection, key, engine.last_sequence(key), newest)
    if not rows:
        return 0
    since_us = max(rows[0][1].time_us, rows[-1][1].time_us - max(HORIZONS_S) * SECOND_US)
    stored = stored_forecasts(connection, key, since_us)
    for sequence, observation in rows:
        if engine.accept(key, sequence, observation):
            _replay(engine.forecaster(key), observation, stored.get(sequence))
    return len(rows)


def _replay(
    forecaster: Forecaster, observation: Observation, stored: StoredForecast | None
) -> None:
    forecaster.observe(observation)
    issue = forecaster.forecast(observation.time_us)
    forecaster.await_outcomes(issue if stored is None else _as_stored(issue, stored))


def _as_stored(issue: Issue, stored: StoredForecast) -> Issue:
    known = np.isfinite(stored.mean)
    return replace(
        issue,
        issue_us=stored.issue_us,
        model_version=stored.model_version,
        horizons=stored.horizons,
        mean=np.where(known, stored.mean, issue.mean),
        quantiles=np.where(known[:, None], stored.quantiles, issue.quantiles),
    )
