"""From scored outcomes to the numbers of the report."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from bitcoin_forecast_app.backtest.prequential import COLUMNS
from bitcoin_forecast_app.distribution import LEVELS, Array
from bitcoin_forecast_app.scores import (
    Booleans,
    coverage,
    diebold_mariano,
    direction,
    mean_absolute_scaled_error,
    r_squared,
)

__all__ = ["pool", "summarise"]

_DAY_S: Final = 86_400
_ROUNDING: Final = 1e-9  # of the price: less is no difference
_PIT_BINS: Final = 20


def summarise(columns: Array, horizon_s: int, step_s: int) -> dict[str, Any]:
    """Return the scores of one data set at one horizon; ``columns`` is as `COLUMNS` says."""
    c = dict(zip(COLUMNS, columns, strict=True))
    actual, still = c["actual"], np.zeros(columns.shape[1])
    slack = _ROUNDING * np.abs(c["high_95"] - c["low_95"]) + 1e-12
    inside = {
        level: coverage(actual, c[f"low_{level}"] - slack, c[f"high_{level}"] + slack)
        for level in (80, 95)
    }
    steps = max(1, horizon_s // step_s)
    crps = {n: float(c[n].mean()) for n in COLUMNS if n.startswith("crps_")}
    base = crps["crps_ewma_t4"]
    return {
        "n": columns.shape[1],
        "zero_moves": float((actual == 0).mean()),
        "mae": float(np.abs(actual - c["median"]).mean()),
        "rmse": float(np.sqrt(np.square(actual - c["mean"]).mean())),
        "bias": float((actual - c["median"]).mean()),
        "mase": mean_absolute_scaled_error(actual, c["median"], still),
        **crps,
        "crps_ratio": crps["crps_combined"] / base if base > 0 else 1.0,
        "coverage_80": float(inside[80].mean()),
        "coverage_95": float(inside[95].mean()),
        "coverage_80_by_day": _by_day(c["time_s"], inside[80]),
        "coverage_95_by_day": _by_day(c["time_s"], inside[95]),
        "width_80": float((c["high_80"] - c["low_80"]).mean()),
        "width_95": float((c["high_95"] - c["low_95"]).mean()),
        "r2_mean": r_squared(actual, c["mean"], still),
        "direction": direction(actual, c["mean"], still),
        "dm_last_value": _test(c["crps_combined"], c["crps_last_value"], steps),
        "dm_ewma_t4": _test(c["crps_combined"], c["crps_ewma_t4"], steps),
        "pit": _pit(c["pit_low"], c["pit_high"]),
    }


def _test(loss: Array, rival: Array, steps: int) -> dict[str, float]:
    result = diebold_mariano(loss, rival, steps)
    return {"statistic": result.statistic, "p": result.p}


def _by_day(time_s: Array, inside: Booleans) -> list[float]:
    """Return smallest and largest coverage over any 24 h, by the hour; empty for less data."""
    if time_s[-1] - time_s[0] < _DAY_S:
        return []
    total = np.concatenate([[0.0], np.cumsum(inside)])
    starts = np.arange(time_s[0], time_s[-1] - _DAY_S + 1, 3_600)
    first = np.searchsorted(time_s, starts)
    last = np.searchsorted(time_s, starts + _DAY_S)
    shares = (total[last] - total[first]) / np.maximum(1, last - first)
    return [float(shares.min()), float(shares.max())]


def _pit(low: Array, high: Array) -> list[float]:
    """Return the share of outcomes in each twentieth of the forecast distribution.

    Where mass lies on one price, an outcome there is spread evenly over that mass (the mean of the
    randomised probability integral transform).
    """
    edges = np.linspace(0.0, 1.0, _PIT_BINS + 1)
    levels = np.concatenate([[0.0], LEVELS, [1.0]])
    below = levels[np.rint(low * len(LEVELS)).astype(int)]
    above = levels[np.rint(high * len(LEVELS)).astype(int) + 1]
    above = np.maximum(above, below + 1e-6)
    overlap = np.minimum(above[:, None], edges[1:]) - np.maximum(below[:, None], edges[:-1])
    shares = np.clip(overlap, 0.0, None) / (above - below)[:, None]
    return [round(float(share), 5) for share in shares.mean(axis=0)]


def pool(results: Sequence[dict[str, Any]], scored: Sequence[Array]) -> dict[str, Any]:
    """Return one horizon's figures over all data sets.

    ``r2_mean`` and ``mase`` are of all outcomes together, relative to the price's level;
    ``crps_ratio`` is the mean of the data sets' ratios, so no volatile one decides alone, and
    ``crps_ratio_of_sums`` is of all outcomes together.
    """
    moves = np.concatenate([rows[COLUMNS.index("actual")] for rows in scored])
    means = np.concatenate([rows[COLUMNS.index("mean")] for rows in scored])
    medians = np.concatenate([rows[COLUMNS.index("median")] for rows in scored])
    own = np.concatenate([rows[COLUMNS.index("crps_combined")] for rows in scored])
    base = np.concatenate([rows[COLUMNS.index("crps_ewma_t4")] for rows in scored])
    still = np.zeros(len(moves))
    ratios = [result["crps_ratio"] for result in results]
    return {
        "n": len(moves),
        "mase": mean_absolute_scaled_error(moves, medians, still),
        "r2_mean": r_squared(moves, means, still),
        "direction": direction(moves, means, still),
        "crps_ratio": float(np.mean(ratios)),
        "crps_ratio_of_sums": float(own.sum() / base.sum()) if base.sum() > 0 else 1.0,
        "crps_ratio_worst": max(ratios),
        "coverage_80": float(
            np.average([r["coverage_80"] for r in results], weights=[r["n"] for r in results])
        ),
        "coverage_95": float(
            np.average([r["coverage_95"] for r in results], weights=[r["n"] for r in results])
        ),
    }
