"""The forecaster of one symbol: pure, the same live, at warm start and in the backtest."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bitcoin_forecast_app.baseline import EwmaVolatility, baseline_quantiles
from bitcoin_forecast_app.distribution import PUBLISHED
from bitcoin_forecast_app.observation import SECOND_US, Observation
from bitcoin_forecast_app.settlement import Issue, Settled, Settlement
from common.wire import HORIZONS_S

__all__ = ["BASELINE_VERSION", "Forecaster"]

BASELINE_VERSION = "baseline-ewma-t4"


@dataclass
class Forecaster:
    """State of one symbol; call `observe` with each observation in order, then maybe `forecast`."""

    settlement: Settlement = field(default_factory=Settlement)
    observed: int = 0
    _last: Observation | None = None
    _volatility: EwmaVolatility = field(default_factory=EwmaVolatility)

    @property
    def last(self) -> Observation | None:
        """Return the newest observation."""
        return self._last

    def observe(self, current: Observation) -> list[Settled]:
        """Take in ``current``, later than the last; return the forecasts that it settles."""
        previous, self._last = self._last, current
        self.observed += 1
        if previous is None:
            return []
        if self.settlement.broken(previous, current) is None:
            elapsed_s = (current.time_us - previous.time_us) / SECOND_US
            self._volatility.update(math.log(current.mid / previous.mid), elapsed_s)
        return list(self.settlement.settle(previous, current))

    def forecast(self, issue_us: int, horizons: Sequence[int] | None = None) -> Issue:
        """Return the forecast from the last observation, not yet waiting for its outcomes.

        ``horizons`` are indexes into `HORIZONS_S`; all of them when it is None.
        """
        assert self._last is not None
        reference = self._last.mid
        returns = baseline_quantiles(self._volatility.per_second)
        prices = reference * np.exp(returns[:, PUBLISHED])
        return Issue(
            observation=self._last,
            issue_us=issue_us,
            model_version=BASELINE_VERSION,
            mean=np.full(len(HORIZONS_S), reference),
            quantiles=prices,
            baseline=prices,
            horizons=tuple(range(len(HORIZONS_S)) if horizons is None else horizons),
        )

    def await_outcomes(self, issue: Issue) -> None:
        """Let an issued forecast be scored when its target times come."""
        self.settlement.add(issue)
