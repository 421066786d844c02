"""The honest baseline: last value, EWMA volatility, Student's t with 4 degrees of freedom."""

import math
from dataclasses import dataclass

import numpy as np

from bitcoin_forecast_app.distribution import T4_QUANTILES, Array
from common.wire import HORIZONS_S

__all__ = ["HORIZONS", "SQRT_HORIZONS", "EwmaVolatility", "baseline_quantiles"]

HORIZONS: Array = np.array(HORIZONS_S, dtype=np.float64)
SQRT_HORIZONS: Array = np.sqrt(HORIZONS)

_HALF_LIFE_S = 60.0
_PRIOR_VARIANCE = (5e-5) ** 2  # per second: about 28 % a year
_PRIOR_WEIGHT_S = 10.0  # the prior counts as much as so many seconds of data
_FLOOR = 1e-14  # per second; a market without any move is still no certainty


@dataclass
class EwmaVolatility:
    """Exponentially weighted variance of log returns per second, at constant cost.

    RiskMetrics' estimator for unequal spacing: a return ``r`` over ``dt`` seconds is one
    observation ``r**2 / dt`` of weight ``1 - 0.5 ** (dt / half-life)``. The prior fades with time.
    """

    half_life_s: float = _HALF_LIFE_S
    _sum: float = 0.0
    _weight: float = 0.0

    def __post_init__(self) -> None:
        self._weight = 1.0 - 0.5 ** (_PRIOR_WEIGHT_S / self.half_life_s)
        self._sum = self._weight * _PRIOR_VARIANCE

    def update(self, log_return: float, elapsed_s: float) -> None:
        """Take in a return over ``elapsed_s`` seconds (positive)."""
        keep = 0.5 ** (elapsed_s / self.half_life_s)
        self._sum = keep * self._sum + (1.0 - keep) * log_return * log_return / elapsed_s
        self._weight = keep * self._weight + (1.0 - keep)

    @property
    def per_second(self) -> float:
        """Return the standard deviation of a one-second log return, positive."""
        return math.sqrt(max(_FLOOR, self._sum / self._weight))


def baseline_quantiles(sigma_per_second: float) -> Array:
    """Return quantiles of the log return, (horizons, levels), centred on no move."""
    return sigma_per_second * SQRT_HORIZONS[:, None] * T4_QUANTILES
