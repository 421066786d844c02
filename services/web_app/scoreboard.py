"""Scores in words that people know: means over a window, and the line in the log."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from common.log import get_logger

__all__ = ["REPORT_HORIZON_S", "Summary", "Sums", "log_error_statistics", "summarise"]

_log = get_logger(__name__)

REPORT_HORIZON_S: Final = 1  # the earlier system forecast the next second; so do its routes


class Sums(NamedTuple):
    """What means are made of, over the forecasts whose time came in one bucket."""

    bucket: int
    n: int
    error: float
    absolute: float
    squared: float
    crps: float
    crps_last_value: float
    crps_baseline: float
    inside_50: int
    inside_80: int
    inside_95: int
    width_95: float

    @classmethod
    def of(cls, row: Any) -> "Sums":
        """Return a row of `common.store.queries.sum_scores`."""
        return cls(*(getattr(row, name) for name in cls._fields))


class Summary(msgspec.Struct, frozen=True):
    """Scores over a window, prices in the quote currency; None where nothing was scored.

    ``bias`` is the mean of actual - predicted. ``coverage_x`` is the share of outcomes inside the
    central x % band. ``skill_x`` is 1 - CRPS / CRPS of the reference: above 0 is better than it.
    """

    n: int
    bias: float | None = None
    mae: float | None = None
    rmse: float | None = None
    crps: float | None = None
    coverage_50: float | None = None
    coverage_80: float | None = None
    coverage_95: float | None = None
    width_95: float | None = None
    skill_last_value: float | None = None
    skill_baseline: float | None = None


def summarise(buckets: Iterable[Sums]) -> Summary:
    """Return the means over all buckets."""
    columns = list(zip(*buckets, strict=True))
    if not columns:
        return Summary(0)
    total = Sums(*map(sum, columns))
    n = total.n

    def skill(reference: float) -> float | None:
        return 1.0 - total.crps / reference if reference > 0 else None

    return Summary(
        n=n,
        bias=total.error / n,
        mae=total.absolute / n,
        rmse=(total.squared / n) ** 0.5,
        crps=total.crps / n,
        coverage_50=total.inside_50 / n,
        coverage_80=total.inside_80 / n,
        coverage_95=total.inside_95 / n,
        width_95=total.width_95 / n,
        skill_last_value=skill(total.crps_last_value),
        skill_baseline=skill(total.crps_baseline),
    )


def log_error_statistics(symbol: str, summary: Summary) -> None:
    """Write the line that people grep for."""
    if summary.bias is not None and summary.mae is not None:
        statistics = f"Avg Error: {summary.bias:.2f}, MAE: {summary.mae:.2f}"
        _log.info(f"Final metrics statistics - {statistics}", symbol=symbol, n=summary.n)
