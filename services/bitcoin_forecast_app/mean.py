"""The mean: what the book and the last move say of the direction, learned online."""

from typing import Final

import numpy as np

from bitcoin_forecast_app.baseline import HORIZONS
from bitcoin_forecast_app.distribution import Array, Indexes
from bitcoin_forecast_app.features import ODD

__all__ = ["OnlineMean"]

_CHOSEN: Final = ("imbalance", "mean_imbalance", "micro_price", "last_move", "flow_3s")
_COLUMNS: Final = np.array([ODD.index(name) for name in _CHOSEN])
_RIDGE: Final = 30.0  # independent outcomes that speak for no slope at all
_PRIOR: Final = _RIDGE * np.eye(len(_COLUMNS))
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
        self._solve(np.arange(len(HORIZONS)))

    def predict(self, odd: Array) -> Array:
        """Return the mean for each horizon, in standard deviations."""
        mean: Array = self._slopes @ odd[_COLUMNS]
        return mean

    def learn(self, indexes: Indexes, odd: Array, outcomes: Array) -> None:
        """Take in standardised outcomes, one for each horizon given; ``odd`` is by outcome."""
        information = 1.0 / HORIZONS[indexes]
        keep = 1.0 - information / _MEMORY
        x = odd[:, _COLUMNS]
        bounded = np.clip(outcomes, -_BOUND, _BOUND)
        self.normal[indexes] = (
            keep[:, None, None] * self.normal[indexes]
            + (information[:, None] * x)[:, :, None] * x[:, None, :]
        )
        self.moment[indexes] = (
            keep[:, None] * self.moment[indexes] + (information * bounded)[:, None] * x
        )
        self._solve(indexes)

    def learn_all(self, odd: Array, outcomes: Array) -> None:
        """Take in (rows, features) and (rows, horizons) at once; NaN outcomes count for nothing."""
        for index, horizon in enumerate(HORIZONS):
            known = np.isfinite(outcomes[:, index])
            x = odd[known][:, _COLUMNS]
            fade = min(1.0, _MEMORY * horizon / max(1, len(x))) / horizon
            self.normal[index] += fade * x.T @ x
            self.moment[index] += fade * x.T @ np.clip(outcomes[known, index], -_BOUND, _BOUND)
        self._solve(np.arange(len(HORIZONS)))

    def _solve(self, indexes: Indexes) -> None:
        self._slopes[indexes] = np.linalg.solve(
            self.normal[indexes] + _PRIOR, self.moment[indexes][:, :, None]
        )[:, :, 0]
