"""Volatility over the next seconds from volatilities over several past windows, learned online."""

from typing import Final

import numpy as np

from bitcoin_forecast_app.distribution import Array, Indexes
from bitcoin_forecast_app.ridge import OnlineRidge

__all__ = ["LARGEST_RATIO", "HarVolatility"]

LARGEST_RATIO: Final = 10.0  # of a window's variance to the EWMA's
_RIDGE: Final = 60.0
_MEMORY: Final = 6 * 3600.0
_LARGEST: Final = 12.0  # a squared return above so many times the variance counts as that many
_BOUNDS: Final = (0.1, 10.0)


class HarVolatility:
    """Corsi's HAR regression (J. Financial Econometrics 7, 2009) in ratios to the EWMA variance.

    The ratio of the squared return over the horizon to its EWMA forecast is regressed on the
    ratios of the variances over the other windows, less one: with no data the forecast is exactly
    the EWMA's.
    """

    def __init__(self, windows: int, sums: tuple[Array, Array] | None = None) -> None:
        self.ridge = OnlineRidge(windows, _RIDGE, _MEMORY, sums)

    def scale(self, ratios: Array) -> Array:
        """Return the factor on the EWMA volatility, (..., horizons), for ``ratios`` of variances.

        ``ratios`` is (..., windows).
        """
        factor = 1.0 + (ratios - 1.0) @ self.ridge.slopes.T
        return np.sqrt(np.clip(factor, *_BOUNDS))

    def learn(self, indexes: Indexes, ratios: Array, outcomes: Array) -> None:
        """Take in squared returns in multiples of their EWMA variance, one for each horizon given.

        ``ratios`` is (outcomes, windows), as they were when the forecast was made.
        """
        self.ridge.learn(indexes, ratios - 1.0, np.minimum(outcomes, _LARGEST) - 1.0)

    def learn_all(self, ratios: Array, outcomes: Array) -> None:
        """Take in (rows, windows) and (rows, horizons) at once; NaN outcomes count for nothing."""
        self.ridge.learn_all(ratios - 1.0, np.minimum(outcomes, _LARGEST) - 1.0)
