"""Recursive ridge regression for each horizon: what the online regressions have in common."""

from typing import Final

import numpy as np

from bitcoin_forecast_app.baseline import HORIZONS
from bitcoin_forecast_app.distribution import Array, Indexes

__all__ = ["OnlineRidge"]

_HORIZONS: Final = len(HORIZONS)


class OnlineRidge:
    """Slopes without an intercept, pulled towards zero; overlapping outcomes count as one.

    ``normal`` is (horizons, features, features) and ``moment`` (horizons, features): the sums so
    far, empty at first. ``ridge`` is how many independent outcomes speak for no slope at all, and
    of more than ``memory`` of them the older ones fade.
    """

    def __init__(
        self,
        features: int,
        ridge: float,
        memory: float,
        sums: tuple[Array, Array] | None = None,
    ) -> None:
        self._prior = ridge * np.eye(features)
        self._memory = memory
        self.normal = np.zeros((_HORIZONS, features, features)) if sums is None else sums[0].copy()
        self.moment = np.zeros((_HORIZONS, features)) if sums is None else sums[1].copy()
        self.slopes = np.zeros((_HORIZONS, features))
        self._solve(np.arange(_HORIZONS))

    def learn(self, indexes: Indexes, x: Array, y: Array) -> None:
        """Take in ``y`` (k,) at ``x`` (k, features), one for each horizon given."""
        information = 1.0 / HORIZONS[indexes]
        keep = 1.0 - information / self._memory
        weighted = information[:, None] * x
        self.normal[indexes] = (
            keep[:, None, None] * self.normal[indexes] + weighted[:, :, None] * x[:, None, :]
        )
        self.moment[indexes] = keep[:, None] * self.moment[indexes] + weighted * y[:, None]
        self._solve(indexes)

    def learn_all(self, x: Array, y: Array) -> None:
        """Take in (rows, features) and (rows, horizons) at once; NaN counts for nothing."""
        for index, horizon in enumerate(HORIZONS):
            known = np.isfinite(y[:, index])
            rows = x[known]
            weight = min(1.0, self._memory * horizon / max(1, len(rows))) / horizon
            self.normal[index] += weight * rows.T @ rows
            self.moment[index] += weight * rows.T @ y[known, index]
        self._solve(np.arange(_HORIZONS))

    def _solve(self, indexes: Indexes) -> None:
        self.slopes[indexes] = np.linalg.solve(
            self.normal[indexes] + self._prior, self.moment[indexes][:, :, None]
        )[:, :, 0]
