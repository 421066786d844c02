"""Features of one series at constant cost for each observation; the same code live and offline.

Even features do not change when the market is mirrored (up for down), odd ones change their sign.
Every value uses observations up to the present one only. All are dimensionless and bounded.
"""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bitcoin_forecast_app.baseline import EwmaVolatility
from bitcoin_forecast_app.distribution import Array
from bitcoin_forecast_app.observation import SECOND_US, Observation

__all__ = ["EVEN", "ODD", "TIME_OF_DAY", "FeatureTracker"]

VOLATILITY_HALF_LIVES_S: Final = (5.0, 20.0, 300.0, 1800.0)  # beside the baseline's own
_MOMENTUM_HALF_LIVES_S: Final = (3.0, 20.0, 120.0)
_ZERO_HALF_LIVES_S: Final = (20.0, 180.0)
_FLOW_HALF_LIVES_S: Final = (3.0, 30.0)
_BOOK_HALF_LIFE_S: Final = 5.0
_DAY_US: Final = 86_400 * SECOND_US

EVEN: Final[tuple[str, ...]] = (
    *(f"volatility_{half:g}s" for half in VOLATILITY_HALF_LIVES_S),
    *(f"zero_moves_{half:g}s" for half in _ZERO_HALF_LIVES_S),
    "since_move",
    "last_move_size",
    "imbalance_size",
    "mean_imbalance_size",
    "spread",
    "price_step",
    "activity",
    "book_known",
    "flow_known",
    "day_sin",
    "day_cos",
    "half_day_sin",
    "half_day_cos",
)
ODD: Final[tuple[str, ...]] = (
    "imbalance",
    "mean_imbalance",
    "imbalance_change",
    "micro_price",
    "last_move",
    *(f"momentum_{half:g}s" for half in _MOMENTUM_HALF_LIVES_S),
    *(f"flow_{half:g}s" for half in _FLOW_HALF_LIVES_S),
)
TIME_OF_DAY: Final = slice(len(EVEN) - 4, len(EVEN))


def _clip(value: float, bound: float) -> float:
    return max(-bound, min(bound, value))


def _log_ratio(a: float, b: float) -> float:
    return _clip(math.log(a / b), 4.0)


@dataclass
class _Decayed:
    """An exponentially weighted mean that starts at the first value it is given."""

    half_life_s: float
    value: float = math.nan

    def update(self, value: float, elapsed_s: float) -> float:
        keep = 0.5 ** (elapsed_s / self.half_life_s)
        self.value = value if math.isnan(self.value) else keep * self.value + (1 - keep) * value
        return self.value


def _decayed(half_lives_s: tuple[float, ...]) -> list[_Decayed]:
    return [_Decayed(half) for half in half_lives_s]


@dataclass
class FeatureTracker:
    """State of the features; call `update` with each observation, then read the values."""

    sigma: EwmaVolatility = field(default_factory=EwmaVolatility)
    volatilities: list[EwmaVolatility] = field(
        default_factory=lambda: [EwmaVolatility(half) for half in VOLATILITY_HALF_LIVES_S]
    )
    price_step: float = math.nan  # the smallest move seen, in the quote currency
    even: Array = field(default_factory=lambda: np.zeros(len(EVEN)))
    odd: Array = field(default_factory=lambda: np.zeros(len(ODD)))
    _last: Observation | None = None
    _move: float = 0.0
    _since_move_s: float = 0.0
    _imbalance: float = 0.0
    _levels: list[_Decayed] = field(default_factory=lambda: _decayed(_MOMENTUM_HALF_LIVES_S))
    _zeros: list[_Decayed] = field(default_factory=lambda: _decayed(_ZERO_HALF_LIVES_S))
    _mean_imbalance: _Decayed = field(default_factory=lambda: _Decayed(_BOOK_HALF_LIFE_S))
    _signed: list[_Decayed] = field(default_factory=lambda: _decayed(_FLOW_HALF_LIVES_S))
    _traded: list[_Decayed] = field(default_factory=lambda: _decayed(_FLOW_HALF_LIVES_S))

    def update(self, current: Observation, *, continues: bool) -> None:
        """Take in ``current``; ``continues`` is false after a gap or a change of venue."""
        last, self._last = self._last, current
        elapsed_s = 1.0
        if last is not None and continues:
            elapsed_s = (current.time_us - last.time_us) / SECOND_US
            self._take_move(current.mid, last.mid, elapsed_s)
        else:
            self._move = 0.0
            self._levels = _decayed(_MOMENTUM_HALF_LIVES_S)
        odd_book, even_book = self._book(current, elapsed_s)
        odd_flow, even_flow = self._flow(current, elapsed_s)
        level = math.log(current.mid)
        sigma = self.sigma.per_second
        momentum = [
            _clip((level - past.update(level, elapsed_s)) / (sigma * half**0.5), 4.0)
            for past, half in zip(self._levels, _MOMENTUM_HALF_LIVES_S, strict=True)
        ]
        last_move = _clip(self._move / sigma, 5.0)
        self.even[:] = [
            *(_log_ratio(other.per_second, sigma) for other in self.volatilities),
            *(0.5 if math.isnan(zero.value) else zero.value for zero in self._zeros),
            math.log1p(self._since_move_s),
            abs(last_move),
            *even_book,
            even_flow,
            float(math.isfinite(current.bid_size + current.ask_size)),
            float(math.isfinite(current.buy_volume + current.sell_volume)),
            *_time_of_day(current.time_us),
        ]
        self.odd[:] = [*odd_book, last_move, *momentum, *odd_flow]

    def _take_move(self, mid: float, last_mid: float, elapsed_s: float) -> None:
        self._move = math.log(mid / last_mid)
        for volatility in (self.sigma, *self.volatilities):
            volatility.update(self._move, elapsed_s)
        moved = mid != last_mid
        for zero in self._zeros:
            zero.update(0.0 if moved else 1.0, elapsed_s)
        self._since_move_s = 0.0 if moved else self._since_move_s + elapsed_s
        step = abs(mid - last_mid)
        if step > 1e-9 * mid and not step >= self.price_step:
            self.price_step = step

    def _book(self, current: Observation, elapsed_s: float) -> tuple[list[float], list[float]]:
        """Return the odd and the even features of the book, zeros where it is unknown."""
        sigma = self.sigma.per_second
        step = self.price_step if math.isfinite(self.price_step) else sigma * current.mid
        coarseness = _log_ratio(step / current.mid, sigma)
        total = current.bid_size + current.ask_size
        if not total > 0 or math.isnan(current.bid + current.ask):
            self._imbalance = 0.0
            return [0.0] * 4, [0.0, 0.0, 0.0, coarseness]
        imbalance = (current.bid_size - current.ask_size) / total
        change, self._imbalance = imbalance - self._imbalance, imbalance
        mean = self._mean_imbalance.update(imbalance, elapsed_s)
        spread = max(current.ask - current.bid, 1e-9 * current.mid) / current.mid
        micro = _clip(imbalance * spread / 2 / sigma, 3.0)
        even = [abs(imbalance), abs(mean), _log_ratio(spread, sigma), coarseness]
        return [imbalance, mean, change, micro], even

    def _flow(self, current: Observation, elapsed_s: float) -> tuple[list[float], float]:
        """Return the odd features of the trades and how lively they are."""
        traded = current.buy_volume + current.sell_volume
        if math.isnan(traded):
            return [0.0] * len(_FLOW_HALF_LIVES_S), 0.0
        signed = current.buy_volume - current.sell_volume
        volumes = [past.update(traded / elapsed_s, elapsed_s) for past in self._traded]
        nets = [past.update(signed / elapsed_s, elapsed_s) for past in self._signed]
        odd = [
            net / volume if volume > 0 else 0.0 for net, volume in zip(nets, volumes, strict=True)
        ]
        lively = _log_ratio(volumes[0], volumes[-1]) if min(volumes) > 0 else 0.0
        return odd, lively


def _time_of_day(time_us: int) -> list[float]:
    angle = 2 * math.pi * (time_us % _DAY_US) / _DAY_US
    return [math.sin(angle), math.cos(angle), math.sin(2 * angle), math.cos(2 * angle)]
