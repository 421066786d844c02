"""What the book and the last moves say of the direction, learned online."""

from typing import Final

import numpy as np

from bitcoin_forecast_app.distribution import Array, Indexes
from bitcoin_forecast_app.features import ODD
from bitcoin_forecast_app.ridge import OnlineRidge

__all__ = ["OnlineMean"]

_CHOSEN: Final = ("imbalance", "mean_imbalance", "micro_price", "last_move", "flow_3s")
_COLUMNS: Final = np.array([ODD.index(name) for name in _CHOSEN])
_RIDGE: Final = 30.0
_MEMORY: Final = 4 * 3600.0
_BOUND: Final = 6.0  # standard deviations; one jump must not own the slopes


class OnlineMean:
    """Ridge regression of standardised returns, or of their normal scores, on odd features."""

    def __init__(self, sums: tuple[Array, Array] | None = None) -> None:
        self.ridge = OnlineRidge(len(_COLUMNS), _RIDGE, _MEMORY, sums)

    def predict(self, odd: Array) -> Array:
        """Return the mean for each horizon, in standard deviations."""
        mean: Array = self.ridge.slopes @ odd[_COLUMNS]
        return mean

    def learn(self, indexes: Indexes, odd: Array, outcomes: Array) -> None:
        """Take in standardised outcomes, one for each horizon given; ``odd`` is by outcome."""
        self.ridge.learn(indexes, odd[:, _COLUMNS], np.clip(outcomes, -_BOUND, _BOUND))

    def learn_all(self, odd: Array, outcomes: Array) -> None:
        """Take in (rows, features) and (rows, horizons) at once; NaN outcomes count for nothing."""
        self.ridge.learn_all(odd[:, _COLUMNS], np.clip(outcomes, -_BOUND, _BOUND))
