"""Which ticks are let through: pure judgement of one tick after another."""

import math
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from common.wire import Tick

__all__ = ["Limits", "Refusal", "Validator"]

_LARGEST = Decimal(10) ** 12  # US dollars; far beyond any market, far inside of float
_SMALLEST = Decimal(10) ** -12
_VOLATILITY_MEMORY = 0.97  # of the exponentially weighted variance, for each tick
_LEVEL_TOLERANCE = 0.01  # refused jumps within this belong to one new level
# A price that has doubled or halved at once must stand for so long before it is believed: what a
# venue repeats in every answer is more likely its fault than the market's.
_WILD = math.log(2)
_HOLD_US = 60_000_000


class Refusal(NamedTuple):
    """Why a tick is not let through; ``reason`` is one of a few fixed words."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Limits:
    """See `CollectorSettings` for the meaning and the units."""

    stale_after_s: float = 60.0
    max_ahead_s: float = 10.0
    jump_sigmas: float = 30.0
    jump_floor: float = 0.02
    jump_confirmations: int = 3


@dataclass
class _Market:
    sequence: int = -1
    log_price: float = math.nan
    variance: float = 0.0  # of the log return for one second
    refused: deque[float] = field(default_factory=deque)
    refused_since: int = 0  # the sequence of the first of them


class Validator:
    """Remembers for each symbol what it needs to judge the next tick."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._markets: dict[str, _Market] = {}

    def resume(self, symbol: str, sequence: int) -> None:
        """Note that ``sequence`` was accepted before a restart."""
        market = self._markets.setdefault(symbol, _Market())
        market.sequence = max(market.sequence, sequence)

    def last_sequence(self, symbol: str) -> int:
        """Return the newest accepted sequence, -1 if there is none."""
        return self._markets.get(symbol, _Market()).sequence

    def check(self, tick: Tick) -> Refusal | None:
        """Return why ``tick`` is refused, or None and remember it as accepted."""
        market = self._markets.get(tick.symbol)
        if market is None:
            market = self._markets[tick.symbol] = _Market()
        refusal = _check_scale(tick) or _check_order(tick, market) or self._check_times(tick)
        if refusal is None:
            log_price = math.log(tick.mid)
            refusal = self._check_jump(tick, market, log_price)
            if refusal is None:
                _accept(tick, market, log_price)
        return refusal

    def _check_times(self, tick: Tick) -> Refusal | None:
        age = (tick.receive_time - tick.event_time).total_seconds()
        if age > self._limits.stale_after_s:
            return Refusal("stale", f"event is {age:.1f} s old")
        if -age > self._limits.max_ahead_s:
            return Refusal("clock_skew", f"event is {-age:.1f} s ahead of our clock")
        return None

    def _check_jump(self, tick: Tick, market: _Market, now: float) -> Refusal | None:
        """Refuse what is far outside of recent volatility, until it is confirmed in a row."""
        if math.isnan(market.log_price):
            return None
        seconds = max(1.0, (tick.sequence - market.sequence) / 1e6)
        sigmas = self._limits.jump_sigmas * math.sqrt(market.variance * seconds)
        jump = abs(now - market.log_price)
        if jump <= max(self._limits.jump_floor, sigmas):
            market.refused.clear()
            return None
        if market.refused and abs(now - market.refused[-1]) > _LEVEL_TOLERANCE:
            market.refused.clear()
        if not market.refused:
            market.refused_since = tick.sequence
        market.refused.append(now)
        if len(market.refused) > self._limits.jump_confirmations + 1:
            market.refused.popleft()
        held_us = tick.sequence - market.refused_since
        confirmed = len(market.refused) > self._limits.jump_confirmations
        if confirmed and (jump < _WILD or held_us >= _HOLD_US):
            market.refused.clear()
            market.log_price = math.nan  # a new level: its first return says nothing
            return None
        allowed = max(self._limits.jump_floor, sigmas)
        return Refusal("jump", f"moved by {jump:.4f} (log), {allowed:.4f} are allowed")


def _accept(tick: Tick, market: _Market, log_price: float) -> None:
    if not math.isnan(market.log_price):
        seconds = max(1.0, (tick.sequence - market.sequence) / 1e6)
        square = (log_price - market.log_price) ** 2 / seconds
        market.variance += (1 - _VOLATILITY_MEMORY) * (square - market.variance)
    market.log_price = log_price
    market.sequence = tick.sequence


def _check_scale(tick: Tick) -> Refusal | None:
    for name, value in (("price", tick.price), ("bid", tick.bid), ("ask", tick.ask)):
        if value is not None and not _SMALLEST <= value <= _LARGEST:
            return Refusal("out_of_range", f"{name} is {value}")
    return None


def _check_order(tick: Tick, market: _Market) -> Refusal | None:
    if tick.sequence == market.sequence:
        return Refusal("duplicate", f"sequence {tick.sequence} was accepted before")
    if tick.sequence < market.sequence:
        return Refusal("out_of_order", f"sequence {tick.sequence} comes after {market.sequence}")
    return None
