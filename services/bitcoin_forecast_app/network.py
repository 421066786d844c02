"""The trained network, evaluated with numpy: a product costs less than a call into a runtime.

What it computes is fixed here and matched by `keras_model`; a test holds both to the same numbers.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bitcoin_forecast_app.distribution import MEDIAN_LEVEL, T4_QUANTILES, Array
from bitcoin_forecast_app.features import EVEN, ODD
from common.wire import HORIZONS_S

__all__ = [
    "HALF_LEVELS",
    "HALF_STEPS",
    "INPUT_BOUND",
    "LOG_BOUND",
    "WEIGHT_SHAPES",
    "Network",
]

HIDDEN: Final = 8  # for each horizon
HALF_LEVELS: Final = len(T4_QUANTILES) - MEDIAN_LEVEL - 1
# Distances between neighbouring quantiles of the baseline, from the median outwards.
HALF_STEPS: Final[Array] = np.diff(T4_QUANTILES[MEDIAN_LEVEL:])
INPUT_BOUND: Final = 3.0  # standard deviations; beyond what training saw nothing is extrapolated
LOG_BOUND: Final = 6.0  # on the logarithm of a step's factor

_H: Final = len(HORIZONS_S)
WEIGHT_SHAPES: Final[dict[str, tuple[int, ...]]] = {
    "even_mean": (len(EVEN),),
    "even_scale": (len(EVEN),),
    "odd_scale": (len(ODD),),
    # From here on each horizon has its own part, so each can be stopped and withdrawn by itself.
    "hidden_kernel": (_H, len(EVEN), HIDDEN),
    "hidden_bias": (_H, HIDDEN),
    "steps_kernel": (_H, HIDDEN, HALF_LEVELS),
    "steps_bias": (_H, HALF_LEVELS),
    "slope_kernel": (_H, HIDDEN, 2 * len(ODD)),  # location, then asymmetry
    "slope_bias": (_H, 2 * len(ODD)),
    "profile": (_H, HALF_LEVELS),
}


@dataclass(frozen=True)
class Network:
    """Corrections to the baseline: with zeros in the last layers its quantiles are the baseline's.

    Even features set how far the quantiles lie apart, by factors on the baseline's steps, so they
    never cross. Odd features shift and lean the distribution, by slopes that the even ones set, so
    a mirrored market gets the mirrored forecast.
    """

    weights: dict[str, NDArray[np.float32]]

    def __call__(self, even: Array, odd: Array) -> Array:
        """Return (horizons, levels) for one observation, in the baseline's volatilities."""
        w = self.weights
        standard = np.clip((even - w["even_mean"]) * w["even_scale"], -INPUT_BOUND, INPUT_BOUND)
        leaning = np.clip(odd * w["odd_scale"], -INPUT_BOUND, INPUT_BOUND)
        hidden = np.tanh(standard @ w["hidden_kernel"] + w["hidden_bias"])[:, None, :]
        steps = (hidden @ w["steps_kernel"])[:, 0] + w["steps_bias"]
        slopes = (hidden @ w["slope_kernel"])[:, 0] + w["slope_bias"]
        location, asymmetry = slopes.reshape(_H, 2, len(ODD)).transpose(1, 0, 2) @ leaning
        lean = asymmetry[:, None] * w["profile"]
        up = np.cumsum(HALF_STEPS * np.exp(np.clip(steps + lean, -LOG_BOUND, LOG_BOUND)), axis=1)
        down = np.cumsum(HALF_STEPS * np.exp(np.clip(steps - lean, -LOG_BOUND, LOG_BOUND)), axis=1)
        middle = np.zeros((_H, 1))
        quantiles = np.concatenate([-down[:, ::-1], middle, up], axis=1) + location[:, None]
        return np.asarray(quantiles, dtype=np.float64)

    def restrained(self, keep: Array) -> "Network":
        """Return the network with corrections only at the horizons where ``keep`` is one."""
        w = dict(self.weights)
        for name in ("steps_kernel", "steps_bias", "slope_kernel", "slope_bias"):
            shape = (_H, *(1 for _ in w[name].shape[1:]))
            w[name] = (w[name] * keep.reshape(shape)).astype(np.float32)
        return Network(w)
