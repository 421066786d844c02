"""Shapes of standardised outcomes, learned from the newest ones, for calm and for leaning books."""

from typing import Final

import numpy as np

from bitcoin_forecast_app.baseline import HORIZONS
from bitcoin_forecast_app.distribution import PRIOR_LEVELS, T4_PRIOR, Array

__all__ = ["EmpiricalShape", "SortedWindow"]

_SIZE: Final = 1_500
_PRIOR: Final = 30.0  # independent outcomes that the prior is worth
_SPACING: Final = 10.0  # one outcome is kept for each tenth of a horizon: more say nothing new


class SortedWindow:
    """The newest values, at most ``size``, kept in order: quantiles cost no sorting."""

    def __init__(self, size: int = _SIZE) -> None:
        self._sorted = np.empty(size)
        self._ring = np.empty(size)
        self._next = 0
        self.count = 0

    def add(self, value: float) -> None:
        """Take ``value`` in; the oldest leaves when the window is full."""
        if self.count == len(self._ring):
            place = int(np.searchsorted(self._sorted, self._ring[self._next]))
            self._sorted[place:-1] = self._sorted[place + 1 :]
            self.count -= 1
        place = int(np.searchsorted(self._sorted[: self.count], value))
        self._sorted[place + 1 : self.count + 1] = self._sorted[place : self.count]
        self._sorted[place] = value
        self._ring[self._next] = value
        self._next = (self._next + 1) % len(self._ring)
        self.count += 1

    def quantiles(self, levels: Array) -> Array:
        """Return quantiles by the inverse of the empirical distribution, so zeros stay zeros."""
        ranks = np.ceil(levels * self.count).astype(np.intp) - 1
        return self._sorted[np.clip(ranks, 0, self.count - 1)]


class EmpiricalShape:
    """Quantiles of returns over their forecast volatility, for each horizon and kind of market.

    ``prior`` is (horizons, kinds, prior levels), Student's t where it is None. With few outcomes
    the shape leans on it, in proportion to independent outcomes.
    """

    def __init__(self, kinds: int = 1, prior: Array | None = None) -> None:
        self.prior = np.tile(T4_PRIOR, (len(HORIZONS), kinds, 1)) if prior is None else prior
        self._windows = [[SortedWindow() for _ in range(kinds)] for _ in HORIZONS]
        self._skip = np.zeros((len(HORIZONS), kinds))

    def learn(self, index: int, kind: int, standardised: float) -> None:
        """Take in the outcome of a forecast."""
        self._skip[index, kind] += 1
        if self._skip[index, kind] >= HORIZONS[index] / _SPACING:
            self._skip[index, kind] = 0
            self._windows[index][kind].add(standardised)

    def quantiles(self, kind: int, levels: Array) -> Array:
        """Return (horizons, k) at ``levels`` of the same shape."""
        found = np.empty(levels.shape)
        for index, horizon in enumerate(HORIZONS):
            found[index] = np.interp(levels[index], PRIOR_LEVELS, self.prior[index, kind])
            window = self._windows[index][kind]
            if window.count:
                independent = window.count * max(1.0, horizon / _SPACING) / horizon
                share = independent / (independent + _PRIOR)
                found[index] += share * (window.quantiles(levels[index]) - found[index])
        return found
