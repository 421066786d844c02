"""Rows to learn from: features as they were, and what the price did after."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitcoin_forecast_app.baseline import HORIZONS, SQRT_HORIZONS
from bitcoin_forecast_app.distribution import Array
from bitcoin_forecast_app.features import EVEN, ODD, FeatureTracker
from bitcoin_forecast_app.observation import SECOND_US, Observation
from bitcoin_forecast_app.settlement import GAP_US, Settlement

__all__ = ["Dataset", "concatenate", "make_dataset"]

_BOUND = 60.0  # standard deviations; an outcome beyond counts as that


@dataclass(frozen=True)
class Dataset:
    """One row for each observation, in order of time within a series.

    ``even`` and ``odd`` are features; ``outcome`` is (rows, horizons): log returns over the
    baseline's volatility for the horizon, NaN where nothing was seen then; ``sigma`` is that
    volatility per second; ``time_us`` when the row was observed.
    """

    time_us: NDArray[np.int64]
    even: Array
    odd: Array
    sigma: Array
    outcome: Array

    def __len__(self) -> int:
        return len(self.time_us)

    def part(self, rows: slice) -> "Dataset":
        """Return some rows."""
        return Dataset(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def concatenate(parts: Sequence[Dataset]) -> Dataset:
    """Return the rows of all parts."""
    names = Dataset.__dataclass_fields__
    return Dataset(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def make_dataset(observations: Iterable[Observation], gap_us: int = GAP_US) -> Dataset:
    """Run the features over one series; outcomes by the rules by which forecasts are scored."""
    tracker, rule = FeatureTracker(), Settlement(gap_us)
    times, prices, sigmas, runs = array("q"), array("d"), array("d"), array("q")
    evens, odds = array("f"), array("f")  # compact: a day is 86,400 rows
    last: Observation | None = None
    run = 0
    for current in observations:
        continues = last is not None and rule.broken(last, current) is None
        run += not continues
        tracker.update(current, continues=continues)
        times.append(current.time_us)
        prices.append(current.mid)
        sigmas.append(tracker.sigma.per_second)
        evens.extend(tracker.even.tolist())
        odds.extend(tracker.odd.tolist())
        runs.append(run)
        last = current
    time_us = np.array(times, dtype=np.int64)
    sigma = np.array(sigmas)
    outcome = _outcomes(time_us, np.log(prices), np.array(runs)) / (sigma[:, None] * SQRT_HORIZONS)
    return Dataset(
        time_us=time_us,
        even=np.array(evens, dtype=np.float64).reshape(-1, len(EVEN)),
        odd=np.array(odds, dtype=np.float64).reshape(-1, len(ODD)),
        sigma=sigma,
        outcome=np.clip(outcome, -_BOUND, _BOUND),
    )


def _outcomes(time_us: NDArray[np.int64], logs: Array, runs: NDArray[np.int64]) -> Array:
    """Return log returns to the observation in force at each target time, NaN where none."""
    found = np.full((len(time_us), len(HORIZONS)), np.nan)
    rows = np.arange(len(time_us))
    for index, horizon in enumerate(HORIZONS):
        target = time_us + int(horizon * SECOND_US)
        place = np.searchsorted(time_us, target, side="right") - 1
        seen = (target <= time_us[-1:]) & (place > rows) & (runs[place] == runs)
        found[seen, index] = logs[place[seen]] - logs[seen]
    return found
