"""Predictive distributions as quantiles on a fixed grid of levels, and their proper score."""

import math
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.wire import QUANTILE_LEVELS

__all__ = [
    "LEVELS",
    "LEVEL_WEIGHTS",
    "MEDIAN_LEVEL",
    "NORMAL_QUANTILES",
    "PRIOR_LEVELS",
    "PUBLISHED",
    "PUBLISHED_WEIGHTS",
    "T4_PRIOR",
    "T4_QUANTILES",
    "Array",
    "Indexes",
    "level_weights",
    "normal_scores",
    "pinball",
    "quantile_crps",
    "t4_quantile",
    "tilted_levels",
]

Array = NDArray[np.float64]
Indexes = NDArray[np.intp]  # of horizons, each at most once

# Every fifth per cent and the tails that are published, so that a sum over them is an integral.
LEVELS: Final[Array] = np.array(
    [0.005, 0.01, 0.025, *(round(0.05 * i, 2) for i in range(1, 20)), 0.975, 0.99, 0.995]
)
MEDIAN_LEVEL: Final = int(np.flatnonzero(LEVELS == 0.5)[0])
PUBLISHED: Final = np.array([int(np.flatnonzero(level == LEVELS)[0]) for level in QUANTILE_LEVELS])


def level_weights(levels: Array) -> Array:
    """Return the share of (0, 1) that each level stands for; they sum to one."""
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    return np.diff(edges)


LEVEL_WEIGHTS: Final = level_weights(LEVELS)
PUBLISHED_WEIGHTS: Final = level_weights(np.array(QUANTILE_LEVELS))


def t4_quantile(level: float) -> float:
    """Return the quantile of Student's t with 4 degrees of freedom, scaled to unit variance.

    Closed form: W. T. Shaw, "Sampling Student's T distribution", J. Comput. Finance 9 (2006).
    """
    alpha = 4 * level * (1 - level)
    quarter = math.cos(math.acos(math.sqrt(alpha)) / 3) / math.sqrt(alpha)
    raw = math.copysign(2 * math.sqrt(max(0.0, quarter - 1)), level - 0.5)
    return raw / math.sqrt(2)  # the variance of t with 4 degrees of freedom is 2


T4_QUANTILES: Final[Array] = np.array([t4_quantile(float(level)) for level in LEVELS])
NORMAL_QUANTILES: Final[Array] = np.array([NormalDist().inv_cdf(float(p)) for p in LEVELS])

# Finer than `LEVELS` and with all of them, so that shapes can be read at any level in between.
PRIOR_LEVELS: Final[Array] = np.union1d(
    LEVELS,
    [0.001, 0.0025, 0.015, *(round(0.02 * i, 2) for i in range(1, 50)), 0.985, 0.9975, 0.999],
)
T4_PRIOR: Final[Array] = np.array([t4_quantile(float(level)) for level in PRIOR_LEVELS])
_SCORES: Final[Array] = np.linspace(-4.0, 4.0, 801)
_PROBABILITIES: Final[Array] = np.array([NormalDist().cdf(float(z)) for z in _SCORES])


def tilted_levels(tilt: Array) -> Array:
    """Return the levels, (..., levels), at which a distribution is read to be tilted by ``tilt``.

    The normal scores of its quantiles move by ``tilt``: a normal distribution is shifted by so many
    standard deviations, one with mass on a point keeps that mass and moves chances across it.
    """
    found: Array = np.interp(tilt[..., None] + NORMAL_QUANTILES, _SCORES, _PROBABILITIES)
    return found


def normal_scores(quantiles: Array, outcomes: Array) -> Array:
    """Return the normal scores of ``outcomes`` (k,) in distributions ``quantiles`` (k, levels).

    Inside a mass on one price an outcome stands at the middle of it.
    """
    close = 1e-9 * np.maximum(1.0, np.abs(outcomes[:, None]))
    below = (quantiles < outcomes[:, None] - close).sum(axis=1)
    upto = (quantiles <= outcomes[:, None] + close).sum(axis=1)
    edges = np.concatenate([[0.0], (LEVELS[1:] + LEVELS[:-1]) / 2, [1.0]])
    edges[[0, -1]] = LEVELS[0] / 2, 1.0 - LEVELS[0] / 2
    middle = (edges[np.minimum(below, len(LEVELS))] + edges[np.minimum(upto, len(LEVELS))]) / 2
    found: Array = np.interp(middle, _PROBABILITIES, _SCORES)
    return found


def pinball(quantiles: Array, levels: Array, actual: Array | float) -> Array:
    """Return the pinball loss of each quantile; ``quantiles`` is (..., levels)."""
    error = np.expand_dims(np.asarray(actual, dtype=np.float64), -1) - quantiles
    return np.maximum(levels * error, (levels - 1.0) * error)


def quantile_crps(
    quantiles: Array, levels: Array, weights: Array, actual: Array | float
) -> NDArray[np.float64]:
    """Return the CRPS by its quantile decomposition, twice the mean pinball loss over levels.

    Gneiting and Raftery, JASA 102 (2007), section 4.2. A point forecast scores its absolute error.
    """
    loss = pinball(quantiles, levels, actual)
    return np.asarray(2.0 * np.einsum("...l,l->...", loss, weights))
