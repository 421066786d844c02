"""Fitting the network to a dataset; imports TensorFlow, so only the trainer's process does."""

import os
from typing import Any, Final

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # the same numbers on each machine
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from bitcoin_forecast_app.dataset import Dataset
from bitcoin_forecast_app.distribution import LEVEL_WEIGHTS, LEVELS, Array, quantile_crps
from bitcoin_forecast_app.features import TIME_OF_DAY
from bitcoin_forecast_app.keras_model import build, export
from bitcoin_forecast_app.network import INPUT_BOUND, Network
from bitcoin_forecast_app.observation import SECOND_US
from common.wire import HORIZONS_S

__all__ = ["fit", "use_one_core"]

_LEARNING_RATE: Final = 1e-2
_STEPS: Final = 1_800  # gradient steps at most, however many rows: bounds the time
_BATCH: Final = 64
_ROUNDS: Final = 40
_PATIENCE: Final = 10  # rounds without any horizon doing better
_CHUNK: Final = 2_048  # rows at a time: bounds the memory, not the result
_LEAST_OUTCOMES: Final = 3.0  # independent ones; fewer decide nothing
_DAY_US: Final = 86_400 * SECOND_US


def use_one_core() -> None:
    """Leave the other cores to the service; call before anything is computed."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def fit(train: Dataset, check: Dataset, seed: int) -> Network:
    """Return the network fitted to ``train``, each horizon from where it did best on ``check``.

    Deterministic under ``seed``. The network before the first step is a candidate too, so what
    cannot be learned leaves the baseline.
    """
    keras.utils.set_random_seed(seed)
    scaling = _scaling(train)
    model, layer = build(len(train), _LEARNING_RATE)
    inputs, truth = _arrays(train, scaling)
    check_inputs, check_truth = _arrays(check, scaling)
    batch = max(_BATCH, len(train) * _ROUNDS // _STEPS)
    best = export(layer, scaling)
    best_loss, waited = _by_horizon(model, check_inputs, check_truth), 0
    for turn in range(_ROUNDS):
        model.optimizer.learning_rate = _LEARNING_RATE * (1 - turn / _ROUNDS)
        model.fit(inputs, truth, batch_size=batch, epochs=1, verbose=0)
        now = _by_horizon(model, check_inputs, check_truth)
        better = now < best_loss
        waited = 0 if better.any() else waited + 1
        best_loss = np.minimum(now, best_loss)
        for name, weight in export(layer, {}).items():
            best[name][better] = weight[better]
        if waited >= _PATIENCE:
            break
    return _restrain(Network(best), check)


def _by_horizon(model: Any, inputs: list[NDArray[Any]], truth: NDArray[Any]) -> Array:
    """Return the mean CRPS of each horizon, zero where no outcome is known."""
    total = np.zeros(len(HORIZONS_S))
    for start in range(0, len(truth), _CHUNK):
        rows = slice(start, start + _CHUNK)
        quantiles = np.asarray(model.predict_on_batch([part[rows] for part in inputs]))
        scores = quantile_crps(quantiles, LEVELS, LEVEL_WEIGHTS, truth[rows, :, 0])
        total += (scores * truth[rows, :, 1]).sum(axis=0)
    found: Array = total / np.maximum(1.0, truth[:, :, 1].sum(axis=0))
    return found


def _restrain(network: Network, check: Dataset) -> Network:
    """Return ``network`` with corrections only at the horizons where ``check`` speaks for them."""
    losses = _losses(network, check)
    reference = _losses(network.restrained(np.zeros(len(HORIZONS_S))), check)
    gains = zip(reference - losses, HORIZONS_S, strict=True)
    return network.restrained(np.array([float(_speaks_for(gain, h)) for gain, h in gains]))


def _speaks_for(gain: Array, horizon_s: int) -> bool:
    """Return whether the mean gain (rows,) is above one standard error, overlap considered."""
    known = gain[np.isfinite(gain)]
    independent = len(known) / horizon_s
    if independent < _LEAST_OUTCOMES:
        return False
    return bool(known.mean() > known.std() / np.sqrt(independent))


def _losses(network: Network, check: Dataset) -> Array:
    """Return the CRPS, (horizons, rows), NaN without an outcome."""
    rows = zip(check.even, check.odd, check.outcome, strict=True)
    scores = [
        quantile_crps(network(even, odd), LEVELS, LEVEL_WEIGHTS, outcome)
        for even, odd, outcome in rows
    ]
    return np.array(scores).T


def _scaling(train: Dataset) -> dict[str, NDArray[np.float32]]:
    """Return how inputs are standardised; what did not vary in training counts for nothing."""
    spread = train.even.std(axis=0)
    scale = np.where(spread > 1e-3, 1 / np.maximum(spread, 1e-3), 0.0)
    if len(train) == 0 or train.time_us.max() - train.time_us.min() < _DAY_US:
        scale[TIME_OF_DAY] = 0.0  # part of a day tells nothing of the hours that are not in it
    size = np.sqrt(np.mean(train.odd**2, axis=0))
    odd_scale = np.where(size > 1e-3, 1 / np.maximum(size, 1e-3), 0.0)
    return {
        "even_mean": train.even.mean(axis=0).astype(np.float32),
        "even_scale": scale.astype(np.float32),
        "odd_scale": odd_scale.astype(np.float32),
    }


def _arrays(
    data: Dataset, scaling: dict[str, NDArray[np.float32]]
) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    even = np.clip(
        (data.even - scaling["even_mean"]) * scaling["even_scale"], -INPUT_BOUND, INPUT_BOUND
    )
    odd = np.clip(data.odd * scaling["odd_scale"], -INPUT_BOUND, INPUT_BOUND)
    known = np.isfinite(data.outcome)
    truth = np.stack([np.where(known, data.outcome, 0.0), known], axis=-1)
    return [even.astype(np.float32), odd.astype(np.float32)], truth.astype(np.float32)
