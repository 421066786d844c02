"""From settled forecasts to the wire: outcomes with their scores, and predictions."""

from collections.abc import Iterable

import numpy as np

from bitcoin_forecast_app.distribution import PUBLISHED_WEIGHTS, Array, quantile_crps
from bitcoin_forecast_app.observation import SECOND_US
from bitcoin_forecast_app.settlement import Issue, Settled
from common.clock import from_micros
from common.wire import (
    HORIZONS_S,
    MEDIAN,
    QUANTILE_LEVELS,
    HorizonForecast,
    Outcome,
    Prediction,
    Tick,
)

__all__ = ["make_outcome", "make_prediction"]

_LEVELS = np.array(QUANTILE_LEVELS)


def _crps(quantiles: Array, actual: float) -> float:
    return float(quantile_crps(quantiles, _LEVELS, PUBLISHED_WEIGHTS, actual))


def make_outcome(settled: Settled) -> Outcome:
    """Score a settled forecast by the quantiles that were published."""
    issue, index, actual = settled.issue, settled.index, settled.actual
    quantiles = issue.quantiles[index]
    inside = [bool(quantiles[low] <= actual <= quantiles[-1 - low]) for low in (2, 1, 0)]
    return Outcome(
        horizon_s=HORIZONS_S[index],
        issue_time=from_micros(issue.issue_us),
        target_time=from_micros(issue.target_us(index)),
        model_version=issue.model_version,
        reference_price=issue.observation.mid,
        predicted=float(quantiles[MEDIAN]),
        actual=actual,
        crps=_crps(quantiles, actual),
        crps_last_value=abs(actual - issue.observation.mid),
        crps_baseline=_crps(issue.baseline[index], actual),
        inside_50=inside[0],
        inside_80=inside[1],
        inside_95=inside[2],
        width_95=float(quantiles[-1] - quantiles[0]),
    )


def make_prediction(tick: Tick, issue: Issue, settled: Iterable[Settled]) -> Prediction:
    """Return the message for ``tick``: the forecasts issued and what came due with it."""
    forecasts = (
        HorizonForecast(
            horizon_s=HORIZONS_S[index],
            target_time=from_micros(issue.observation.time_us + HORIZONS_S[index] * SECOND_US),
            mean=float(issue.mean[index]),
            quantiles=tuple(map(float, issue.quantiles[index])),
        )
        for index in issue.horizons
    )
    return Prediction(
        symbol=tick.symbol,
        venue=tick.venue,
        feed=tick.feed,
        sequence=tick.sequence,
        issue_time=from_micros(issue.issue_us),
        reference_price=issue.observation.mid,
        model_version=issue.model_version,
        horizons=tuple(forecasts),
        outcomes=tuple(map(make_outcome, settled)),
    )
