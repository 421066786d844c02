"""Volatility over the next seconds from volatilities over several past windows, learned online."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bitcoin_forecast_app.baseline import HORIZONS
from bitcoin_forecast_app.distribution import Array

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
    _normal: Array = field(init=False)
    _moment: Array = field(init=False)
    _weights: Array = field(init=False)

    def __post_init__(self) -> None:
        size = len(HORIZONS)
        self._normal = np.tile(_RIDGE * np.eye(self.windows), (size, 1, 1))
        self._moment = np.zeros((size, self.windows))
        self._weights = np.zeros((size, self.windows))

    def scale(self, ratios: Array) -> Array:
        """Return the factor on the EWMA volatility for each horizon; ``ratios`` are variances'."""
        factor = 1.0 + self._weights @ (ratios - 1.0)
        return np.sqrt(np.clip(factor, *_BOUNDS))

    def learn(self, index: int, ratios: Array, outcome: float) -> None:
        """Take in that the squared return was ``outcome`` times its EWMA variance."""
        information = 1.0 / HORIZONS[index]
        keep = 1.0 - information / _MEMORY
        excess = ratios - 1.0
        prior = (1.0 - keep) * _RIDGE * np.eye(self.windows)
        self._normal[index] = (
            keep * self._normal[index] + prior + information * np.outer(excess, excess)
        )
        self._moment[index] = keep * self._moment[index] + information * excess * (
            min(outcome, _LARGEST) - 1.0
        )
        self._weights[index] = np.linalg.solve(self._normal[index], self._moment[index])
