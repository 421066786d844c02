"""Scores of forecasts over many outcomes; every function takes arrays of one length."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from bitcoin_forecast_app.distribution import Array

__all__ = [
    "Booleans",
    "DieboldMariano",
    "coverage",
    "diebold_mariano",
    "direction",
    "mean_absolute_scaled_error",
    "r_squared",
]

Booleans = np.typing.NDArray[np.bool_]


class DieboldMariano(NamedTuple):
    """``statistic`` below zero: the first forecast has the smaller loss; two-sided ``p``."""

    statistic: float
    p: float


def mean_absolute_scaled_error(actual: Array, forecast: Array, naive: Array) -> float:
    """Return the mean absolute error over that of the ``naive`` forecast (Hyndman and Koehler)."""
    reference = float(np.abs(actual - naive).mean())
    own = float(np.abs(actual - forecast).mean())
    if reference == 0:
        return 1.0 if own == 0 else math.inf
    return own / reference


def r_squared(actual: Array, forecast: Array, naive: Array) -> float:
    """Return 1 - the squared error over that of ``naive``, out of sample: it may be negative."""
    reference = float(np.square(actual - naive).sum())
    return 1.0 - float(np.square(actual - forecast).sum()) / reference if reference > 0 else 0.0


def direction(actual: Array, forecast: Array, naive: Array) -> float:
    """Return how often the forecast was on the right side of ``naive``, where the price moved.

    A forecast of no move counts as half right.
    """
    moved = actual != naive
    if not moved.any():
        return math.nan
    said = np.sign(forecast - naive)[moved]
    right = said == np.sign(actual - naive)[moved]
    return float((right + 0.5 * (said == 0)).mean())


def coverage(actual: Array, low: Array, high: Array) -> Booleans:
    """Return which outcomes lie in the closed interval."""
    inside: Booleans = (low <= actual) & (actual <= high)
    return inside


def diebold_mariano(loss: Array, rival: Array, horizon: int) -> DieboldMariano:
    """Test equal accuracy; robust to autocorrelation up to the overlap of ``horizon`` steps.

    Newey-West variance with Bartlett weights over ``max(horizon, n**(1/3))`` lags (Diebold and
    Mariano 1995; Newey and West 1987), normal limit.
    """
    difference = np.asarray(loss - rival, dtype=np.float64)
    n = len(difference)
    lags = min(n - 1, max(horizon, math.ceil(n ** (1 / 3))))
    centred = difference - difference.mean()
    variance = float(centred @ centred) / n
    for lag in range(1, lags + 1):
        weight = 1.0 - lag / (lags + 1.0)
        variance += 2.0 * weight * float(centred[lag:] @ centred[:-lag]) / n
    if n < 2 or variance <= 0:
        return DieboldMariano(0.0, 1.0)
    statistic = float(difference.mean()) / math.sqrt(variance / n)
    return DieboldMariano(statistic, 2.0 * NormalDist().cdf(-abs(statistic)))
