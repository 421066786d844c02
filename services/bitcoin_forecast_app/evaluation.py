"""How well a model serves: the forecaster as it runs live, scored over a stretch of a series."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bitcoin_forecast_app.distribution import LEVEL_WEIGHTS, LEVELS, Array, quantile_crps
from bitcoin_forecast_app.forecaster import Forecaster
from bitcoin_forecast_app.model import Model
from bitcoin_forecast_app.observation import Observation
from bitcoin_forecast_app.settlement import Settled
from common.wire import HORIZONS_S

__all__ = ["crps_ratio", "replay"]

_LEAST = 30  # outcomes of a horizon below which its score is left out


def replay(
    forecaster: Forecaster, observations: Iterable[Observation]
) -> Iterable[tuple[Observation, list[Settled]]]:
    """Forecast at each observation and yield it with what it settled: one pass, nothing ahead."""
    for observation in observations:
        settled = forecaster.observe(observation)
        forecaster.await_outcomes(forecaster.forecast(observation.time_us))
        yield observation, settled


def crps_ratio(
    model: Model | None, warm: Sequence[Observation], scored: Sequence[Observation]
) -> dict[str, Any]:
    """Return the CRPS over that of the baseline: by horizon and their mean, after a warm start."""
    forecaster = Forecaster()
    forecaster.use(model)
    start_us = scored[0].time_us
    own: list[list[float]] = [[] for _ in HORIZONS_S]
    base: list[list[float]] = [[] for _ in HORIZONS_S]
    for _, settled in replay(forecaster, [*warm, *scored]):
        for item in settled:
            context = item.issue.context
            if item.issue.issue_us < start_us:
                continue
            moved = np.log(item.actual / item.issue.observation.mid) / context.sigma[item.index]
            pair: Array = np.stack([context.final[item.index], context.experts[0, item.index]])
            score = quantile_crps(pair, LEVELS, LEVEL_WEIGHTS, float(moved))
            own[item.index].append(float(score[0]))
            base[item.index].append(float(score[1]))
    by_horizon = {
        str(horizon): float(np.mean(a) / np.mean(b))
        for horizon, a, b in zip(HORIZONS_S, own, base, strict=True)
        if len(a) >= _LEAST
    }
    mean = float(np.mean(list(by_horizon.values()))) if by_horizon else float("nan")
    return {"mean": mean, "by_horizon": by_horizon}
