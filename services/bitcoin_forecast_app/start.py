"""Where the online learners begin: what training gives them besides the network."""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bitcoin_forecast_app.baseline import HORIZONS
from bitcoin_forecast_app.dataset import Dataset
from bitcoin_forecast_app.distribution import LEVELS, PRIOR_LEVELS, T4_PRIOR, Array, normal_scores
from bitcoin_forecast_app.features import EVEN, ODD, VOLATILITY_HALF_LIVES_S
from bitcoin_forecast_app.har import LARGEST_RATIO, HarVolatility
from bitcoin_forecast_app.mean import OnlineMean

__all__ = ["KINDS", "Start", "book_kind", "prepare"]

# Independent outcomes that Student's t is worth against what training saw: markets differ.
_STUDENT: Final = 100.0
KINDS: Final = 3  # of books: balanced, leaning, one-sided
_IMBALANCE: Final = ODD.index("imbalance")
_RATIOS: Final = [EVEN.index(f"volatility_{half:g}s") for half in VOLATILITY_HALF_LIVES_S]


@dataclass(frozen=True)
class Start:
    """Sums of the three regressions (see `OnlineRidge`) and shapes of standardised outcomes.

    ``shape`` is (horizons, 1, prior levels) and ``book_shape`` (horizons, kinds, prior levels).
    """

    mean_normal: Array
    mean_moment: Array
    tilt_normal: Array
    tilt_moment: Array
    har_normal: Array
    har_moment: Array
    shape: Array
    book_shape: Array

    def arrays(self) -> dict[str, Array]:
        """Return everything by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def empty(cls) -> "Start":
        """Return the start of learners that nothing was ever told."""
        mean, har = OnlineMean().ridge, HarVolatility(len(_RATIOS)).ridge
        return cls(
            *(mean.normal, mean.moment, mean.normal, mean.moment, har.normal, har.moment),
            shape=np.tile(T4_PRIOR, (len(HORIZONS), 1, 1)),
            book_shape=np.tile(T4_PRIOR, (len(HORIZONS), KINDS, 1)),
        )


def book_kind(imbalance: Array | float) -> NDArray[np.intp]:
    """Return how much books lean, from 0 to `KINDS` - 1."""
    kinds = np.floor(np.abs(imbalance) * KINDS).astype(np.intp)
    return np.asarray(np.minimum(KINDS - 1, kinds))


def prepare(data: Dataset) -> Start:
    """Return what the online learners would know had they seen ``data``."""
    ratios = np.clip(np.exp(2 * data.even[:, _RATIOS]), 0.0, LARGEST_RATIO)
    har, mean, tilt = HarVolatility(len(_RATIOS)), OnlineMean(), OnlineMean()
    har.learn_all(ratios, data.outcome**2)
    mean.learn_all(data.odd, data.outcome)
    shaped = data.outcome / har.scale(ratios)
    tilt.learn_all(data.odd, _scores(shaped))
    imbalance = data.odd[:, _IMBALANCE]
    kinds, side = book_kind(imbalance), np.where(imbalance < 0, -1.0, 1.0)[:, None]
    by_kind = [_shape((side * shaped)[kinds == kind]) for kind in range(KINDS)]
    return Start(
        *(mean.ridge.normal, mean.ridge.moment, tilt.ridge.normal, tilt.ridge.moment),
        *(har.ridge.normal, har.ridge.moment),
        shape=_shape(shaped)[:, None],
        book_shape=np.stack(by_kind, axis=1),
    )


def _scores(shaped: Array) -> Array:
    """Return the normal scores of outcomes, (rows, horizons), among one another."""
    found = np.full(shaped.shape, np.nan)
    for index in range(len(HORIZONS)):
        known = np.isfinite(shaped[:, index])
        if known.any():
            outcomes = shaped[known, index]
            quantiles = np.quantile(outcomes, LEVELS, method="inverted_cdf")
            found[known, index] = normal_scores(quantiles[None], outcomes)
    return found


def _shape(shaped: Array) -> Array:
    """Return quantiles, (horizons, prior levels), of outcomes (rows, horizons), NaN unknown."""
    found = np.tile(T4_PRIOR, (len(HORIZONS), 1))
    for index, horizon in enumerate(HORIZONS):
        known = shaped[np.isfinite(shaped[:, index]), index]
        if len(known):
            independent = len(known) / horizon
            share = independent / (independent + _STUDENT)
            own = np.quantile(known, PRIOR_LEVELS, method="inverted_cdf")
            found[index] += share * (own - found[index])
    return found
