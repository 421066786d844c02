"""One pass over a recording: forecast, wait for the outcome, score, learn; nothing ahead."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from bitcoin_forecast_app.backtest.recordings import Recording
from bitcoin_forecast_app.distribution import (
    LEVEL_WEIGHTS,
    LEVELS,
    MEDIAN_LEVEL,
    NORMAL_QUANTILES,
    Array,
    quantile_crps,
)
from bitcoin_forecast_app.evaluation import replay
from bitcoin_forecast_app.forecaster import EXPERTS, Forecaster
from bitcoin_forecast_app.model import Model
from bitcoin_forecast_app.observation import SECOND_US, Observation
from bitcoin_forecast_app.settlement import Settled
from bitcoin_forecast_app.train import train_model
from common.wire import HORIZONS_S

__all__ = ["COLUMNS", "Scored", "score_recording", "teach"]

COLUMNS: Final = (
    *("time_s", "actual", "median", "mean"),
    *("crps_last_value", "crps_ewma_normal", "crps_ewma_t4", "crps_combined"),
    *("low_80", "high_80", "low_95", "high_95", "pit_low", "pit_high"),
    *(f"crps_{name}" for name in EXPERTS),
)
_CHUNK: Final = 1_024
_TAUGHT_ROWS: Final = 20_000  # of each other recording, and of the own past
_LEAST_TAUGHT: Final = 300
_SEED: Final = 1
_BOUNDS: Final = [int(np.flatnonzero(level == LEVELS)[0]) for level in (0.1, 0.9, 0.025, 0.975)]


@dataclass
class Scored:
    """Columns of numbers for each horizon, one row for each outcome, in the quote currency.

    Prices are relative to the reference price at issue; ``unscored`` counts what was given up.
    """

    columns: dict[int, Array] = field(default_factory=dict)
    unscored: dict[str, int] = field(default_factory=dict)


def teach(series: Sequence[Sequence[Observation]], version: str) -> Model | None:
    """Return a model of what other recordings and the own past hold; None where that is little."""
    enough = [rows[-_TAUGHT_ROWS:] for rows in series if len(rows) >= _LEAST_TAUGHT]
    return train_model(enough, version, _SEED) if enough else None


def score_recording(
    recording: Recording,
    others: Sequence[Recording],
    horizons: Sequence[int],
    retrain_s: float,
    *,
    train: bool = True,
) -> Scored:
    """Run the live forecaster over ``recording``; before it starts it learns from ``others``.

    Every ``retrain_s`` seconds of data the model is fitted anew to the others and the own past.
    """
    taught = [_in_steps(other) for other in others] if train else []
    observations = _in_steps(recording)
    forecaster = Forecaster()
    forecaster.use(teach(taught, "others"))
    # Bars of a minute are forecast as if they were seconds: one step ahead, five steps ahead.
    by_index = {
        HORIZONS_S.index(h // recording.step_s): h
        for h in horizons
        if h % recording.step_s == 0 and h // recording.step_s in HORIZONS_S
    }
    sink = _Sink(list(by_index))
    span = max(1, int(retrain_s / recording.step_s)) if train else len(observations)
    for start in range(0, len(observations), span):
        if start:
            past = observations[:start]
            forecaster.use(teach([*taught, past], f"past-{start}"))
        for _, settled in replay(forecaster, observations[start : start + span]):
            sink.take(settled)
    columns = {by_index[index]: rows for index, rows in sink.columns().items()}
    for rows in columns.values():
        rows[COLUMNS.index("time_s")] *= recording.step_s
    return Scored(columns, dict(forecaster.settlement.unscored))


def _in_steps(recording: Recording) -> list[Observation]:
    """Return the observations with time counted in steps of the grid, a second for each."""
    if recording.step_s == 1:
        return recording.observations
    return [replace(o, time_us=o.time_us // recording.step_s) for o in recording.observations]


class _Sink:
    """Scores outcomes in chunks, so that long recordings take little memory and time."""

    def __init__(self, indexes: Sequence[int]) -> None:
        self._waiting: dict[int, list[Settled]] = {index: [] for index in indexes}
        self._rows: dict[int, array[float]] = {index: array("d") for index in indexes}

    def take(self, settled: Sequence[Settled]) -> None:
        for item in settled:
            waiting = self._waiting.get(item.index)
            if waiting is not None:
                waiting.append(item)
                if len(waiting) >= _CHUNK:
                    self._flush(item.index)

    def columns(self) -> dict[int, Array]:
        for index in self._waiting:
            self._flush(index)
        return {
            index: np.array(rows).reshape(-1, len(COLUMNS)).T
            for index, rows in self._rows.items()
            if rows
        }

    def _flush(self, index: int) -> None:
        waiting, self._waiting[index] = self._waiting[index], []
        if waiting:
            self._rows[index].extend(_score(waiting, index).ravel().tolist())


def _score(settled: Sequence[Settled], index: int) -> Array:
    """Return (outcomes, columns)."""
    contexts = [item.issue.context for item in settled]
    reference = np.array([item.issue.observation.mid for item in settled])
    actual = np.array([item.actual for item in settled]) - reference
    sigma = np.array([context.sigma[index] for context in contexts])[:, None]
    scale = reference[:, None]

    def prices(standardised: Array) -> Array:
        found: Array = scale * np.expm1(standardised * sigma)
        return found

    def crps(quantiles: Array) -> Array:
        return quantile_crps(quantiles, LEVELS, LEVEL_WEIGHTS, actual)

    final = prices(np.array([context.final[index] for context in contexts]))
    known = len(contexts[0].experts)
    experts = [
        crps(prices(np.array([context.experts[e, index] for context in contexts])))
        if e < known
        else np.full(len(settled), np.nan)
        for e in range(len(EXPERTS))
    ]
    mean = np.array([item.issue.mean[index] for item in settled]) - reference
    close = actual[:, None] + 1e-9 * scale  # equal prices, but for rounding
    pit_low = (final < actual[:, None] - 1e-9 * scale).sum(axis=1) / len(LEVELS)
    pit_high = (final <= close).sum(axis=1) / len(LEVELS)
    return np.stack(
        [
            np.array([item.issue.observation.time_us for item in settled]) / SECOND_US,
            actual,
            final[:, MEDIAN_LEVEL],
            mean,
            np.abs(actual),
            crps(prices(np.broadcast_to(NORMAL_QUANTILES, final.shape))),
            experts[0],
            crps(final),
            *(final[:, place] for place in _BOUNDS),
            pit_low,
            pit_high,
            *experts,
        ],
        axis=1,
    )
