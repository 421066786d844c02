"""Adaptive conformal calibration: intervals widen after misses and narrow after hits."""

from typing import Final

import numpy as np

from bitcoin_forecast_app.baseline import HORIZONS
from bitcoin_forecast_app.distribution import LEVELS, MEDIAN_LEVEL, Array, Indexes

__all__ = ["Calibration"]

_STEP: Final = 0.01  # on the logarithm of the width, for one miss
_SLOWEST: Final = 75.0  # seconds of horizon beyond which a day of outcomes needs no smaller step
_BOUND: Final = 1.0  # on the logarithm of the width


class Calibration:
    """One factor on the width of each central interval of each horizon.

    Gibbs and Candes (NeurIPS 2021), on the logarithm of the width: over any long stretch the share
    of misses tends to the nominal one whatever the market does. Feedback comes with the delay of
    the horizon and overlaps, so the step shrinks with the horizon's root.
    """

    def __init__(self) -> None:
        self._logs = np.zeros((len(HORIZONS), MEDIAN_LEVEL))  # outermost interval first
        self._miss = 2.0 * LEVELS[:MEDIAN_LEVEL]

    def apply(self, quantiles: Array) -> Array:
        """Return (horizons, levels) with widths corrected, the median unmoved, not decreasing."""
        factor = np.exp(self._logs)
        ones = np.ones((len(HORIZONS), 1))
        middle = quantiles[:, MEDIAN_LEVEL, None]
        spread = np.concatenate([factor, ones, factor[:, ::-1]], axis=1)
        corrected: Array = np.sort(middle + (quantiles - middle) * spread, axis=1)
        return corrected

    def learn(self, indexes: Indexes, quantiles: Array, outcomes: Array) -> None:
        """Take in one outcome for each horizon given, of the corrected ``quantiles`` (k, levels).

        An interval that is a point says nothing of its width, so its factor stays.
        """
        low, high = quantiles[:, :MEDIAN_LEVEL], quantiles[:, :MEDIAN_LEVEL:-1]
        outcome = outcomes[:, None]
        missed = (outcome < low) | (outcome > high)
        step = _STEP / np.sqrt(np.minimum(HORIZONS[indexes], _SLOWEST))[:, None]
        moved = self._logs[indexes] + np.where(high > low, step * (missed - self._miss), 0.0)
        self._logs[indexes] = np.clip(moved, -_BOUND, _BOUND)
