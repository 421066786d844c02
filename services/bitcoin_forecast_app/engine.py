"""All symbols of all feeds: which forecaster a tick belongs to, and what to make of it. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from bitcoin_forecast_app.forecaster import Forecaster
from bitcoin_forecast_app.model import Model
from bitcoin_forecast_app.observation import SECOND_US, Observation, observe_tick
from bitcoin_forecast_app.outcome import make_prediction
from common.clock import to_micros
from common.wire import HORIZONS_S, Prediction, Tick

__all__ = ["Engine", "Key"]

_MAX_SERIES = 1024  # a bound on memory against a producer gone wild


class Key(NamedTuple):
    """One price series; feeds never mix."""

    feed: str
    symbol: str


@dataclass
class Engine:
    """Turns ticks into predictions.

    ``ignored`` counts ticks that no prediction was made for: ``repeated`` or ``reordered`` (a
    sequence not above the last), ``stale`` (older than the longest horizon), ``series`` (too many).
    """

    forecasters: dict[Key, Forecaster] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)
    _sequences: dict[Key, int] = field(default_factory=dict)
    _models: dict[str, Model | None] = field(default_factory=dict)
    _issued_us: int = 0

    def use(self, feed: str, model: Model | None) -> None:
        """Forecast every series of ``feed`` with ``model`` from now on."""
        self._models[feed] = model
        for key, forecaster in self.forecasters.items():
            if key.feed == feed:
                forecaster.use(model)

    def forecaster(self, key: Key) -> Forecaster:
        """Return the forecaster of a series, a new one at first."""
        if key not in self.forecasters:
            self.forecasters[key] = Forecaster()
            self.forecasters[key].use(self._models.get(key.feed))
        return self.forecasters[key]

    def last_sequence(self, key: Key) -> int:
        """Return the newest sequence taken in, -1 before the first."""
        return self._sequences.get(key, -1)

    def accept(self, key: Key, sequence: int, observation: Observation) -> bool:
        """Return whether a tick is the next of its series, and count it if it is not."""
        last = self.forecaster(key).last if key in self.forecasters else None
        if last is None and len(self.forecasters) >= _MAX_SERIES:
            reason = "series"
        elif sequence == self.last_sequence(key):
            reason = "repeated"
        elif sequence < self.last_sequence(key) or (last and observation.time_us <= last.time_us):
            reason = "reordered"
        else:
            self._sequences[key] = sequence
            return True
        self.ignored[reason] += 1
        return False

    def on_tick(self, tick: Tick, now: datetime) -> Prediction | None:
        """Learn from ``tick`` and forecast; None where it leads to no forecast and no score.

        Only horizons whose target lies after ``now`` are issued: whatever is written was written
        before its outcome could be known, also when old ticks are caught up with.
        """
        key, observation = Key(tick.feed, tick.symbol), observe_tick(tick)
        if not self.accept(key, tick.sequence, observation):
            return None
        forecaster = self.forecaster(key)
        settled = forecaster.observe(observation)
        self._issued_us = max(to_micros(now), self._issued_us + 1)  # part of the store's key
        open_horizons = [
            index
            for index, horizon_s in enumerate(HORIZONS_S)
            if observation.time_us + horizon_s * SECOND_US > self._issued_us
        ]
        if not open_horizons:
            self.ignored["stale"] += 1
        if not open_horizons and not settled:
            return None
        issue = forecaster.forecast(self._issued_us, open_horizons)
        forecaster.await_outcomes(issue)
        return make_prediction(tick, issue, settled)
