"""The mean: what the book and the last move say of the direction, learned online."""

from typing import Final

import numpy as np

from bitcoin_forecast_app.baseline import HORIZONS
from bitcoin_forecast_app.distribution import Array
from bitcoin_forecast_app.features import ODD

__all__ = ["OnlineMean"]

_CHOSEN: Final = ("imbalance", "mean_imbalance", "micro_price", "last_move", "flow_3s")
_COLUMNS: Final = np.array([ODD.index(name) for name in _CHOSEN])
_RIDGE: Final = 30.0  # independent outcomes that speak for no slope at all
_MEMORY: Final = 4 * 3600.0  # independent outcomes
_BOUND: Final = 6.0  # standard deviations; one jump must not own the slopes


class OnlineMean:
    """Recursive ridge regression of standardised returns on odd features, for each horizon.

    Overlapping outcomes count as one per horizon; old ones fade. ``normal`` is (horizons, features,
    features) and ``moment`` (horizons, features): the sums so far, empty at first.
    """

    def __init__(self, normal: Array | None = None, moment: Array | None = None) -> None:
        shape = (len(HORIZONS), len(_COLUMNS))
        self.normal = np.zeros((*shape, shape[1])) if normal is None else normal.copy()
        self.moment = np.zeros(shape) if moment is None else moment.copy()
        self._slopes = np.zeros(shape)
        for index in range(len(HORIZONS)):
            self._solve(index)

    def predict(self, odd: Array) -> Array:
        """Return the mean for each horizon, in standard deviations."""
        mean: Array = self._slopes @ odd[_COLUMNS]
        return mean

    def learn(self, index: int, odd: Array, outcome: float) -> None:
        """Take in one standardised outcome."""
        information = 1.0 / HORIZONS[index]
        keep = 1.0 - information / _MEMORY
        x = odd[_COLUMNS]
        bounded = max(-_BOUND, min(_BOUND, outcome))
        self.normal[index] = keep * self.normal[index] + information * np.outer(x, x)
        self.moment[index] = keep * self.moment[index] + information * bounded * x
        self._solve(index)

    def learn_all(self, odd: Array, outcomes: Array) -> None:
        """Take in (rows, features) and (rows, horizons) at once; NaN outcomes count for nothing."""
        for index, horizon in enumerate(HORIZONS):
            known = np.isfinite(outcomes[:, index])
            x = odd[known][:, _COLUMNS]
            fade = min(1.0, _MEMORY * horizon / max(1, len(x))) / horizon
            self.normal[index] += fade * x.T @ x
            self.moment[index] += fade * x.T @ np.clip(outcomes[known, index], -_BOUND, _BOUND)
            self._solve(index)

    def _solve(self, index: int) -> None:
        system = self.normal[index] + _RIDGE * np.eye(len(_COLUMNS))
        self._slopes[index] = np.linalg.solve(system, self.moment[index])
