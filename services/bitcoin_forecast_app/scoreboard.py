"""Rolling scores over 5 minutes, an hour, a day and all time, at constant cost and memory."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bitcoin_forecast_app.distribution import Array
from common.clock import to_micros
from common.wire import HORIZONS_S, Outcome

__all__ = ["WINDOWS_S", "Scoreboard"]

WINDOWS_S: Final[dict[str, int | None]] = {"5m": 300, "1h": 3_600, "24h": 86_400, "all": None}
_BUCKET_US: Final = 10_000_000
_BUCKETS: Final = 86_400_000_000 // _BUCKET_US
_FIELDS: Final = (
    "n",
    "error",
    "absolute",
    "squared",
    "moved",
    "crps",
    "last",
    "base",
    "in80",
    "in95",
)
_COUNT: Final = len(_FIELDS)


class Scoreboard:
    """Sums by bucket of ten seconds; one for each series."""

    def __init__(self) -> None:
        self._sums = np.zeros((_BUCKETS, len(HORIZONS_S), _COUNT), dtype=np.float32)
        self._stamps: NDArray[np.int64] = np.full(_BUCKETS, -1, dtype=np.int64)
        self._all = np.zeros((len(HORIZONS_S), _COUNT))
        self._newest = 0

    def add(self, outcome: Outcome) -> None:
        """Take in one outcome."""
        stamp = to_micros(outcome.target_time) // _BUCKET_US
        place = stamp % _BUCKETS
        if self._stamps[place] != stamp:
            self._stamps[place] = stamp
            self._sums[place] = 0.0
        self._newest = max(self._newest, stamp)
        error = outcome.error
        values = (
            *(1.0, error, abs(error), error * error),
            abs(outcome.actual - outcome.reference_price),
            *(outcome.crps, outcome.crps_last_value, outcome.crps_baseline),
            *(float(outcome.inside_80), float(outcome.inside_95)),
        )
        index = HORIZONS_S.index(outcome.horizon_s)
        self._sums[place, index] += values
        self._all[index] += values

    def report(self, window: str) -> dict[str, dict[str, float]]:
        """Return horizon -> scores over the window that ends at the newest outcome."""
        length_s = WINDOWS_S[window]
        totals: Array = self._all
        if length_s is not None:
            oldest = self._newest - length_s * 1_000_000 // _BUCKET_US
            totals = self._sums[self._stamps > oldest].sum(axis=0, dtype=np.float64)
        return {
            str(horizon): _scores(dict(zip(_FIELDS, map(float, row), strict=True)))
            for horizon, row in zip(HORIZONS_S, totals, strict=True)
            if row[0] > 0
        }


def _scores(total: dict[str, float]) -> dict[str, float]:
    n = total["n"]
    scores = {
        "n": n,
        "bias": total["error"] / n,
        "mae": total["absolute"] / n,
        "rmse": (total["squared"] / n) ** 0.5,
        "crps": total["crps"] / n,
        "coverage_80": total["in80"] / n,
        "coverage_95": total["in95"] / n,
    }
    if total["last"] > 0:  # no move in the whole window leaves nothing to compare with
        scores["mase"] = total["absolute"] / total["moved"]
        scores["skill_last_value"] = 1.0 - total["crps"] / total["last"]
    if total["base"] > 0:
        scores["skill_baseline"] = 1.0 - total["crps"] / total["base"]
    return {name: round(value, 6) for name, value in scores.items()}
