"""Experts weighted online by their recent pinball losses, for each horizon and level."""

import math
from typing import Final

import numpy as np

from bitcoin_forecast_app.baseline import HORIZONS
from bitcoin_forecast_app.distribution import LEVELS, Array

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

    def learn(self, index: int, quantiles: Array, outcome: float) -> None:
        """Take in one outcome; ``quantiles`` is (experts, levels), both standardised."""
        information = 1.0 / HORIZONS[index]
        keep = 1.0 - information / _MEMORY
        weights = self.weights[:, index]
        combined = np.einsum("el,el->l", weights, quantiles)
        slope = np.where(outcome < combined, 1.0, 0.0) - LEVELS
        regret = (slope * (combined - quantiles)) @ self._kernel
        largest = np.maximum(self._largest[:, index], np.abs(regret))
        variance = keep * self._variance[:, index] + information * regret**2
        rate = np.minimum(
            0.5 / largest, np.sqrt(math.log(len(quantiles) + 1.0) / np.maximum(variance, 1e-12))
        )
        total = keep * self._regret[:, index] + information * regret * (1.0 + rate * regret)
        exponent = np.log(self._prior * rate) + np.clip(rate * total, -50.0, 50.0)
        exponent -= exponent.max(axis=0)
        found = np.exp(exponent)
        self._largest[:, index] = largest
        self._variance[:, index] = variance
        self._regret[:, index] = total
        self.weights[:, index] = found / found.sum(axis=0)
