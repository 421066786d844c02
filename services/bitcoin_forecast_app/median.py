"""Whether the median may leave the last price: only where it has done better there of late."""

from typing import Final

import numpy as np

from bitcoin_forecast_app.baseline import HORIZONS
from bitcoin_forecast_app.distribution import MEDIAN_LEVEL, Array, Indexes

__all__ = ["MedianGuard"]

_MEMORY: Final = 3_600.0  # independent outcomes
_CERTAINTY: Final = 2.0  # standard errors by which the gain must exceed nothing


class MedianGuard:
    """Compares the absolute error of the proposed median with the last price's, by horizon.

    Prices move in steps and often not at all, so a median a hair off the last price mostly loses.
    """

    def __init__(self) -> None:
        self._gain = np.zeros(len(HORIZONS))
        self._square = np.zeros(len(HORIZONS))

    def apply(self, quantiles: Array) -> Array:
        """Return (horizons, levels) with the median at no move where it has not earned to leave."""
        allowed = self._gain > _CERTAINTY * np.sqrt(self._square)
        found = quantiles.copy()
        held = found[~allowed]
        held[:, :MEDIAN_LEVEL] = np.minimum(held[:, :MEDIAN_LEVEL], 0.0)
        held[:, MEDIAN_LEVEL] = 0.0
        held[:, MEDIAN_LEVEL + 1 :] = np.maximum(held[:, MEDIAN_LEVEL + 1 :], 0.0)
        found[~allowed] = held
        return found

    def learn(self, indexes: Indexes, proposed: Array, outcomes: Array) -> None:
        """Take in outcomes of proposed medians; overlapping ones count as one per horizon."""
        information = 1.0 / HORIZONS[indexes]
        keep = 1.0 - information / _MEMORY
        gain = np.abs(outcomes) - np.abs(outcomes - proposed)
        self._gain[indexes] = keep * self._gain[indexes] + information * gain
        self._square[indexes] = keep * self._square[indexes] + information * gain * gain
