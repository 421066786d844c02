"""The network in Keras, for training only; `network` evaluates its weights."""

from typing import Any, Final

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from bitcoin_forecast_app.baseline import HORIZONS
from bitcoin_forecast_app.distribution import LEVEL_WEIGHTS, LEVELS
from bitcoin_forecast_app.features import EVEN, ODD
from bitcoin_forecast_app.network import (
    HALF_STEPS,
    LOG_BOUND,
    WEIGHT_SHAPES,
)
from common.wire import HORIZONS_S

__all__ = ["build", "export", "loss"]

_H: Final = len(HORIZONS_S)
_PRIOR_ROWS: Final = 0.25  # strength of the pull towards the baseline, in independent rows
# Long horizons are few independent outcomes: their noise must not decide for the short ones.
_HORIZON_WEIGHTS: Final = 1 / np.sqrt(HORIZONS)


class _TowardsBaseline(keras.regularizers.Regularizer):  # type: ignore[misc]
    """A Gaussian prior at the baseline: rows of a long horizon overlap, so they say less."""

    def __init__(self, rows: int) -> None:
        self._strength = _PRIOR_ROWS * HORIZONS * _HORIZON_WEIGHTS / max(1, rows)

    def __call__(self, weights: Any) -> Any:
        by_horizon = ops.sum(ops.square(ops.reshape(weights, (_H, -1))), axis=1)
        return ops.sum(ops.cast(self._strength, "float32") * by_horizon)


class _Corrections(keras.layers.Layer):  # type: ignore[misc]
    """From standardised even and odd features to (horizons, levels)."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self._rows = rows

    def build(self, _shape: Any) -> None:
        trained = [name for name in WEIGHT_SHAPES if not name.startswith(("even_", "odd_"))]
        for name in trained:
            last = name.startswith(("steps", "slope"))
            initial = "glorot_uniform" if name == "hidden_kernel" else "zeros"
            weight = self.add_weight(
                name=name,
                shape=WEIGHT_SHAPES[name],
                initializer="ones" if name == "profile" else initial,
                regularizer=_TowardsBaseline(self._rows) if last else None,
            )
            setattr(self, name, weight)

    def call(self, inputs: Any) -> Any:
        even, odd = inputs
        hidden = ops.tanh(ops.einsum("bf,hfk->bhk", even, self.hidden_kernel) + self.hidden_bias)
        steps = ops.einsum("bhk,hkl->bhl", hidden, self.steps_kernel) + self.steps_bias
        slopes = ops.einsum("bhk,hks->bhs", hidden, self.slope_kernel) + self.slope_bias
        slopes = ops.reshape(slopes, (-1, _H, 2, len(ODD)))
        location, asymmetry = ops.unstack(ops.einsum("bhso,bo->bhs", slopes, odd), 2, axis=2)
        lean = asymmetry[:, :, None] * self.profile
        up, down = self._half(steps + lean), self._half(steps - lean)
        middle = ops.zeros_like(location)[:, :, None]
        quantiles = ops.concatenate([-ops.flip(down, axis=2), middle, up], axis=2)
        return quantiles + location[:, :, None]

    @staticmethod
    def _half(logs: Any) -> Any:
        factors = ops.exp(ops.clip(logs, -LOG_BOUND, LOG_BOUND))
        return ops.cumsum(ops.cast(HALF_STEPS, "float32") * factors, axis=2)


def build(rows: int, learning_rate: float) -> tuple[Any, Any]:
    """Return the compiled model, from standardised features, and its layer of corrections.

    ``rows`` is how many it will be fitted to: the more, the freer.
    """
    even, odd = keras.Input((len(EVEN),)), keras.Input((len(ODD),))
    layer = _Corrections(rows)
    model = keras.Model([even, odd], layer([even, odd]))
    model.compile(optimizer=keras.optimizers.Adam(learning_rate), loss=loss, jit_compile=False)
    return model, layer


def loss(truth: Any, forecast: Any) -> Any:
    """Return the CRPS, summed over horizons; ``truth`` is outcome and whether it is known."""
    error = truth[:, :, :1] - forecast
    levels = ops.cast(LEVELS, "float32")
    pinball = ops.maximum(levels * error, (levels - 1.0) * error)
    crps = 2.0 * ops.sum(pinball * ops.cast(LEVEL_WEIGHTS, "float32"), axis=-1)
    weights = ops.cast(_HORIZON_WEIGHTS, "float32")
    return ops.sum(crps * truth[:, :, 1] * weights, axis=-1)


def export(layer: Any, scaling: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Return copies of the trained weights by the names that `network` knows, and ``scaling``."""
    trained = {
        name: np.array(getattr(layer, name).value.numpy(), dtype=np.float32)
        for name in WEIGHT_SHAPES
        if not name.startswith(("even_", "odd_"))
    }
    return scaling | trained
