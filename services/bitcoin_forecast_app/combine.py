"""Experts weighted online by their recent pinball losses, for each horizon and level."""

import math
from typing import Final

import numpy as np

from bitcoin_forecast_app.baseline import HORIZONS
from bitcoin_forecast_app.distribution import LEVELS, Array, Indexes

__all__ = ["Combination"]

_MEMORY: Final = 4 * 3600.0  # independent outcomes; older ones fade
_SMOOTHING: Final = 2.0  # neighbouring levels learn together: width of the kernel in levels


class Combination:
    """Bernstein online aggregation of quantiles, level by level.

    Wintenberger, Machine Learning 106 (2017), in the form of "CRPS learning" (Berrisch and Ziel,
    J. Econometrics 237, 2023): linearised losses, second-order learning rates, regrets smoothed
    over levels. The combination of quantiles by convex weights has no larger CRPS than the
    weighted mean of the experts'. Overlapping outcomes count as one per horizon.
    """

    def __init__(self, prior: Array) -> None:
        shape = (len(prior), len(HORIZONS), len(LEVELS))
        self._prior = (prior / prior.sum())[:, None]
        self._regret = np.zeros(shape)
        self._variance = np.zeros(shape)
        self._largest = np.full(shape, 1e-3)
        self.weights = np.broadcast_to(self._prior[:, None], shape).copy()
        distance = np.arange(len(LEVELS))[:, None] - np.arange(len(LEVELS))
        kernel = np.exp(-0.5 * (distance / _SMOOTHING) ** 2)
        self._kernel = kernel / kernel.sum(axis=0)

    def combine(self, quantiles: Array) -> Array:
        """Return (horizons, levels), not decreasing, of (experts, horizons, levels)."""
        found: Array = np.sort(np.einsum("ehl,ehl->hl", self.weights, quantiles), axis=1)
        return found

    def learn(self, indexes: Indexes, quantiles: Array, outcomes: Array) -> None:
        """Take in one outcome for each horizon given; ``quantiles`` is (experts, outcomes, levels).

        Both are standardised.
        """
        information = 1.0 / HORIZONS[indexes][:, None]
        keep = 1.0 - information / _MEMORY
        combined = np.einsum("ekl,ekl->kl", self.weights[:, indexes], quantiles)
        slope = (outcomes[:, None] < combined) - LEVELS
        regret = (slope * (combined - quantiles)) @ self._kernel
        largest = np.maximum(self._largest[:, indexes], np.abs(regret))
        variance = keep * self._variance[:, indexes] + information * regret**2
        rate = np.minimum(
            0.5 / largest, np.sqrt(math.log(len(quantiles) + 1.0) / np.maximum(variance, 1e-12))
        )
        total = keep * self._regret[:, indexes] + information * regret * (1.0 + rate * regret)
        exponent = np.log(self._prior[:, None] * rate) + np.clip(rate * total, -50.0, 50.0)
        found = np.exp(exponent - exponent.max(axis=0))
        self._largest[:, indexes] = largest
        self._variance[:, indexes] = variance
        self._regret[:, indexes] = total
        self.weights[:, indexes] = found / found.sum(axis=0)
