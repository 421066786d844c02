"""Volatility over the next seconds from volatilities over several past windows, learned online."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bitcoin_forecast_app.baseline import HORIZONS
from bitcoin_forecast_app.distribution import Array, Indexes

__all__ = ["HarVolatility"]

_RIDGE: Final = 60.0  # as many independent outcomes must speak before the weights move half-way
_MEMORY: Final = 6 * 3600.0  # outcomes; older ones fade
_LARGEST: Final = 12.0  # a squared return above so many times the variance counts as that many
_BOUNDS: Final = (0.1, 10.0)


@dataclass
class HarVolatility:
    """Corsi's HAR regression (J. Financial Econometrics 7, 2009) in ratios to the EWMA variance.

    The ratio of the squared return over the horizon to its EWMA forecast is regressed on the
    ratios of the variances over the other windows, less one: with no data the forecast is exactly
    the EWMA's. Ridge, exponential forgetting, one system for each horizon; overlapping outcomes
    count as one per horizon.
    """

    windows: int
    _prior: Array = field(init=False)
    _normal: Array = field(init=False)
    _moment: Array = field(init=False)
    _weights: Array = field(init=False)

    def __post_init__(self) -> None:
        size = len(HORIZONS)
        self._prior = _RIDGE * np.eye(self.windows)
        self._normal = np.zeros((size, self.windows, self.windows))
        self._moment = np.zeros((size, self.windows))
        self._weights = np.zeros((size, self.windows))

    def scale(self, ratios: Array) -> Array:
        """Return the factor on the EWMA volatility for each horizon; ``ratios`` are variances'."""
        factor = 1.0 + self._weights @ (ratios - 1.0)
        return np.sqrt(np.clip(factor, *_BOUNDS))

    def learn(self, indexes: Indexes, ratios: Array, outcomes: Array) -> None:
        """Take in squared returns in multiples of their EWMA variance, one for each horizon given.

        ``ratios`` is (outcomes, windows), as they were when the forecast was made.
        """
        information = 1.0 / HORIZONS[indexes]
        keep = 1.0 - information / _MEMORY
        excess = ratios - 1.0
        bounded = np.minimum(outcomes, _LARGEST) - 1.0
        self._normal[indexes] = (
            keep[:, None, None] * self._normal[indexes]
            + (information[:, None] * excess)[:, :, None] * excess[:, None, :]
        )
        self._moment[indexes] = (
            keep[:, None] * self._moment[indexes] + (information * bounded)[:, None] * excess
        )
        self._weights[indexes] = np.linalg.solve(
            self._normal[indexes] + self._prior, self._moment[indexes][:, :, None]
        )[:, :, 0]
