"""The forecaster of one symbol: pure, the same live, at warm start and in the backtest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bitcoin_forecast_app.baseline import SQRT_HORIZONS
from bitcoin_forecast_app.combine import Combination
from bitcoin_forecast_app.conformal import Calibration
from bitcoin_forecast_app.distribution import (
    LEVELS,
    MEDIAN_LEVEL,
    PUBLISHED,
    T4_QUANTILES,
    normal_scores,
    tilted_levels,
)
from bitcoin_forecast_app.empirical import EmpiricalShape
from bitcoin_forecast_app.features import ODD, VOLATILITY_HALF_LIVES_S, FeatureTracker
from bitcoin_forecast_app.har import LARGEST_RATIO, HarVolatility
from bitcoin_forecast_app.mean import OnlineMean
from bitcoin_forecast_app.median import MedianGuard
from bitcoin_forecast_app.model import NO_MODEL, Model
from bitcoin_forecast_app.observation import Observation
from bitcoin_forecast_app.settlement import Context, Issue, Settled, Settlement
from bitcoin_forecast_app.start import KINDS, Start, book_kind
from common.wire import HORIZONS_S

__all__ = ["EXPERTS", "Forecaster"]

EXPERTS: Final = ("ewma_t4", "har_empirical", "book_empirical", "tilted", "network")

# Weights to begin with; without training shapes are not known yet, so the baseline has more.
_TAUGHT: Final = np.array([1.0, 0.5, 1.0, 3.0, 0.5])
_UNTAUGHT: Final = np.array([2.0, 0.5, 1.0, 3.0])
_LEVELS: Final = np.tile(LEVELS, (len(HORIZONS_S), 1))
_LARGEST_TILT: Final = 1.5
_IMBALANCE: Final = ODD.index("imbalance")


@dataclass
class Forecaster:
    """State of one symbol; call `observe` with each observation in order, then maybe `forecast`."""

    settlement: Settlement = field(default_factory=Settlement)
    model: Model | None = None
    observed: int = 0
    tracker: FeatureTracker = field(default_factory=FeatureTracker)
    _last: Observation | None = None
    _har: HarVolatility = field(default_factory=lambda: HarVolatility(len(VOLATILITY_HALF_LIVES_S)))
    _shape: EmpiricalShape = field(default_factory=EmpiricalShape)
    _book_shape: EmpiricalShape = field(default_factory=lambda: EmpiricalShape(KINDS))
    _mean: OnlineMean = field(default_factory=OnlineMean)
    _tilt: OnlineMean = field(default_factory=OnlineMean)
    _guard: MedianGuard = field(default_factory=MedianGuard)
    _calibration: Calibration = field(default_factory=Calibration)
    _combination: Combination = field(default_factory=lambda: Combination(_UNTAUGHT))

    @property
    def last(self) -> Observation | None:
        """Return the newest observation."""
        return self._last

    @property
    def weights(self) -> dict[str, list[float]]:
        """Return the mean weight over levels of each expert, by horizon."""
        means = self._combination.weights.mean(axis=2)
        return {
            name: [round(float(w), 3) for w in row]
            for name, row in zip(EXPERTS, means, strict=False)
        }

    def use(self, model: Model | None) -> None:
        """Forecast with another model from now on.

        It inherits the weight of the model before; the first one and none at all start anew.
        """
        if (model is None) != (self.model is None):
            self._combination = Combination(_TAUGHT if model else _UNTAUGHT)
        self.model = model
        start = model.start if model else Start.empty()
        self._mean = OnlineMean((start.mean_normal, start.mean_moment))
        self._tilt = OnlineMean((start.tilt_normal, start.tilt_moment))
        self._har = HarVolatility(
            len(VOLATILITY_HALF_LIVES_S), (start.har_normal, start.har_moment)
        )
        self._shape.prior, self._book_shape.prior = start.shape, start.book_shape

    def observe(self, current: Observation) -> list[Settled]:
        """Take in ``current``, later than the last; return the forecasts that it settles."""
        previous, self._last = self._last, current
        self.observed += 1
        continues = previous is not None and self.settlement.broken(previous, current) is None
        self.tracker.update(current, continues=continues)
        if previous is None:
            return []
        settled = list(self.settlement.settle(previous, current))
        for group in _rounds(settled):
            self._learn(group)
        return settled

    def forecast(self, issue_us: int, horizons: Sequence[int] | None = None) -> Issue:
        """Return the forecast from the last observation, not yet waiting for its outcomes.

        ``horizons`` are indexes into `HORIZONS_S`; all of them when it is None.
        """
        assert self._last is not None
        context = self._context()
        reference = self._last.mid
        combined = self._combination.combine(context.experts)
        final = self._calibration.apply(self._guard.apply(combined))
        sigma = context.sigma[:, None]
        # Prices move in steps: what is nearer to no move than half of one is no move.
        final[np.abs(final) * sigma < self.tracker.price_step / reference / 2] = 0.0
        context.median, context.final = combined[:, MEDIAN_LEVEL], final
        returns = final[:, PUBLISHED] * sigma
        mean = self._mean.predict(context.odd) * context.sigma
        return Issue(
            observation=self._last,
            issue_us=issue_us,
            model_version=self.model.version if self.model else NO_MODEL,
            mean=reference * np.exp(mean),
            quantiles=reference * np.exp(returns),
            baseline=reference * np.exp(T4_QUANTILES[PUBLISHED] * sigma),
            horizons=tuple(range(len(HORIZONS_S)) if horizons is None else horizons),
            context=context,
        )

    def await_outcomes(self, issue: Issue) -> None:
        """Let an issued forecast be scored when its target times come."""
        self.settlement.add(issue)

    def _context(self) -> Context:
        """Return every expert's view, in units of the baseline's volatility over the horizon."""
        tracker = self.tracker
        sigma = tracker.sigma.per_second
        ratios = np.array([(v.per_second / sigma) ** 2 for v in tracker.volatilities])
        ratios = np.clip(ratios, 0.0, LARGEST_RATIO)
        har = self._har.scale(ratios)
        imbalance = float(tracker.odd[_IMBALANCE])
        kind = int(book_kind(imbalance))
        book = self._book_shape.quantiles(kind, _LEVELS)
        if imbalance < 0:
            book = -book[:, ::-1]
        tilt = np.clip(self._tilt.predict(tracker.odd), -_LARGEST_TILT, _LARGEST_TILT)
        experts = [
            np.broadcast_to(T4_QUANTILES, book.shape),
            har[:, None] * self._shape.quantiles(0, _LEVELS),
            har[:, None] * book,
            har[:, None] * self._shape.quantiles(0, tilted_levels(tilt)),
        ]
        if self.model is not None:
            experts.append(self.model.network(tracker.even, tracker.odd))
        no_move = np.zeros(0)  # both are set when the forecast is
        return Context(
            sigma=sigma * SQRT_HORIZONS,
            experts=np.stack(experts),
            ratios=ratios,
            har=har,
            kind=kind,
            side=-1.0 if imbalance < 0 else 1.0,
            odd=tracker.odd.copy(),
            median=no_move,
            final=no_move,
        )

    def _learn(self, settled: Sequence[Settled]) -> None:
        """Let every learner take in what came due; each horizon occurs at most once."""
        contexts = [item.issue.context for item in settled]
        indexes = np.array([item.index for item in settled])
        moved = np.log([item.actual / item.issue.observation.mid for item in settled])
        picked = list(zip(contexts, indexes.tolist(), strict=True))
        outcomes = moved / np.array([context.sigma[i] for context, i in picked])
        self._har.learn(indexes, np.array([c.ratios for c in contexts]), outcomes * outcomes)
        self._mean.learn(indexes, np.array([c.odd for c in contexts]), outcomes)
        plain = np.array([c.experts[1, i] for c, i in picked])
        scores = normal_scores(plain, outcomes)
        self._tilt.learn(indexes, np.array([c.odd for c in contexts]), scores)
        for (context, index), outcome in zip(picked, outcomes.tolist(), strict=True):
            shaped = outcome / float(context.har[index])
            self._shape.learn(index, 0, shaped)
            self._book_shape.learn(index, context.kind, context.side * shaped)
        if all(len(context.experts) == len(self._combination.weights) for context in contexts):
            experts = np.stack([context.experts[:, i] for context, i in picked], axis=1)
            self._combination.learn(indexes, experts, outcomes)
        self._guard.learn(indexes, np.array([c.median[i] for c, i in picked]), outcomes)
        self._calibration.learn(indexes, np.array([c.final[i] for c, i in picked]), outcomes)


def _rounds(settled: Sequence[Settled]) -> Iterator[list[Settled]]:
    """Yield groups in order, in which each horizon occurs at most once."""
    group: dict[int, Settled] = {}
    for item in sorted(settled, key=lambda item: item.issue.issue_us):
        if item.index in group:
            yield list(group.values())
            group = {}
        group[item.index] = item
    if group:
        yield list(group.values())
