"""Scores in words that people know: means over a window, and the line in the log."""

import threading
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from common.clock import Clock, to_micros
from common.log import get_logger
from common.store.queries import Page, Series, latest_score_time, sum_scores

__all__ = ["REPORT_HORIZON_S", "ErrorReporter", "Summary", "log_error_statistics", "summarise"]

_log = get_logger(__name__)

REPORT_HORIZON_S = 1  # the earlier system forecast the next second, so its routes and lines do
REPORT_WINDOW = timedelta(hours=1)
_EVERY_S = 60.0


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


_SUMS = (
    *("n", "error", "absolute", "squared", "crps", "crps_last_value", "crps_baseline"),
    *("inside_50", "inside_80", "inside_95", "width_95"),
)


def summarise(buckets: Iterable[Row[Any]]) -> Summary:
    """Return the means over rows of `common.store.queries.sum_scores`."""
    total = dict.fromkeys(_SUMS, 0.0)
    for bucket in buckets:
        for name in _SUMS:
            total[name] += getattr(bucket, name)
    n = int(total["n"])
    if n == 0:
        return Summary(0)

    def skill(reference: str) -> float | None:
        return 1.0 - total["crps"] / total[reference] if total[reference] > 0 else None

    return Summary(
        n=n,
        bias=total["error"] / n,
        mae=total["absolute"] / n,
        rmse=(total["squared"] / n) ** 0.5,
        crps=total["crps"] / n,
        coverage_50=total["inside_50"] / n,
        coverage_80=total["inside_80"] / n,
        coverage_95=total["inside_95"] / n,
        width_95=total["width_95"] / n,
        skill_last_value=skill("crps_last_value"),
        skill_baseline=skill("crps_baseline"),
    )


def log_error_statistics(bias: float, mae: float) -> None:
    """Write the line that people grep for."""
    _log.info(f"Final metrics statistics - Avg Error: {bias:.2f}, MAE: {mae:.2f}")


class ErrorReporter:
    """A thread that logs the last hour's errors each minute while new scores come in."""

    def __init__(self, engine: Engine, series: Series, clock: Clock) -> None:
        self._engine = engine
        self._series = series
        self._clock = clock
        self._newest: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="error-reporter", daemon=True)

    def start(self) -> None:
        """Begin to report."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop reporting."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                self.report()
            except SQLAlchemyError as error:
                _log.warning("no error statistics", error=str(error).partition("\n")[0])

    def report(self) -> None:
        """Log the statistics if scores were added since the last call."""
        end = to_micros(self._clock.now() + timedelta(seconds=1))
        page = Page(end - REPORT_WINDOW // timedelta(microseconds=1), end, limit=100)
        with self._engine.connect() as connection:
            newest = latest_score_time(connection, self._series, REPORT_HORIZON_S)
            if newest is None or newest == self._newest:
                return
            rows = sum_scores(connection, self._series, REPORT_HORIZON_S, page, 60_000_000)
        self._newest = newest
        summary = summarise(rows)
        if summary.bias is not None and summary.mae is not None:
            log_error_statistics(summary.bias, summary.mae)
