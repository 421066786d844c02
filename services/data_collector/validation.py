"""Which ticks are let through: pure judgement of one tick after another."""

import math
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from common.wire import Tick, Venue

__all__ = ["Limits", "Refusal", "Validator"]

_LARGEST = Decimal(10) ** 12  # US dollars; far beyond any market, far inside of float
_SMALLEST = Decimal(10) ** -12
_VOLATILITY_MEMORY = 0.97  # of the exponentially weighted variance, for each tick
_LEVEL_TOLERANCE = 0.01  # refused jumps within this belong to one new level
# A price that has doubled or halved at once must stand for so long before one venue alone is
# believed: what a venue repeats in every answer is more likely its fault than the market's.
_WILD = math.log(2)
_HOLD_US = 60_000_000


class Refusal(NamedTuple):
    """Why a tick is not let through; ``reason`` is one of a few fixed words."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Limits:
    """See `CollectorSettings` for the meaning and the units.

    ``late_s`` is how far a sequence may lie before the newest one.
    """

    late_s: float = 3.5
    stale_after_s: float = 60.0
    max_ahead_s: float = 10.0
    jump_sigmas: float = 30.0
    jump_floor: float = 0.02
    jump_confirmations: int = 3


@dataclass
class _Level:
    """What one venue has said second after second, and was refused for; all in a row."""

    log_price: float
    since: int  # the sequence of the first
    last: int
    seconds: int = 1

    def follow(self, log_price: float, sequence: int) -> None:
        """Take the venue's next word; several within a second count once."""
        if abs(log_price - self.log_price) > _LEVEL_TOLERANCE:
            self.since, self.seconds = sequence, 1
        elif sequence > self.last:
            self.seconds += 1
        self.log_price, self.last = log_price, sequence


@dataclass
class _Market:
    sequence: int = -1
    recent: deque[int] = field(default_factory=deque)  # accepted, not yet too late to repeat
    log_price: float = math.nan
    variance: float = 0.0  # of the log return for one second
    refused: dict[Venue, _Level] = field(default_factory=dict)


class Validator:
    """Remembers for each symbol what it needs to judge the next tick."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._late_us = round(limits.late_s * 1e6)
        self._markets: dict[str, _Market] = {}

    def resume(self, tick: Tick) -> None:
        """Note that ``tick`` was accepted before, by this process's forerunner or by another's."""
        market = self._market(tick.symbol)
        if tick.sequence > market.sequence:
            log_price = math.log(tick.mid)
            if abs(log_price - market.log_price) > self._allowed(tick, market):
                market.log_price = math.nan  # it was believed as a new level
            self._accept(tick, market, log_price)
        else:
            market.recent.append(tick.sequence)

    def last_sequence(self, symbol: str) -> int:
        """Return the newest accepted sequence, -1 if there is none."""
        return self._markets.get(symbol, _Market()).sequence

    def check(self, tick: Tick) -> Refusal | None:
        """Return why ``tick`` is refused, or None and remember it as accepted.

        An answer that a faster one of a later second has overtaken is the only one of its own.
        """
        market = self._market(tick.symbol)
        refusal = _check_values(tick) or self._check_order(tick, market) or self._check_times(tick)
        if refusal is None:
            log_price = math.log(tick.mid)
            if tick.sequence < market.sequence:
                refusal = self._check_late(tick, market, log_price)
            else:
                refusal = self._check_jump(tick, market, log_price)
            if refusal is None:
                self._accept(tick, market, log_price)
        return refusal

    def _market(self, symbol: str) -> _Market:
        market = self._markets.get(symbol)
        if market is None:
            market = self._markets[symbol] = _Market()
        return market

    def _check_order(self, tick: Tick, market: _Market) -> Refusal | None:
        if tick.sequence > market.sequence:
            return None
        if tick.sequence == market.sequence or tick.sequence in market.recent:
            return Refusal("duplicate", f"sequence {tick.sequence} was accepted before")
        if tick.sequence < market.sequence - self._late_us:
            newest = market.sequence
            return Refusal("out_of_order", f"sequence {tick.sequence} comes after {newest}")
        return None

    def _check_times(self, tick: Tick) -> Refusal | None:
        age = (tick.receive_time - tick.event_time).total_seconds()
        if age > self._limits.stale_after_s:
            return Refusal("stale", f"event is {age:.1f} s old")
        if -age > self._limits.max_ahead_s:
            return Refusal("clock_skew", f"event is {-age:.1f} s ahead of our clock")
        return None

    def _check_late(self, tick: Tick, market: _Market, then: float) -> Refusal | None:
        """Refuse what is far from the newer price: it neither confirms a level nor begins one."""
        jump, allowed = abs(then - market.log_price), self._allowed(tick, market)
        if jump > allowed:
            return _jumped(jump, allowed)
        return None

    def _check_jump(self, tick: Tick, market: _Market, now: float) -> Refusal | None:
        """Refuse what is far outside of recent volatility, until it is confirmed.

        By another venue that says the same at the same second, or by its own venue in a row.
        """
        jump, allowed = abs(now - market.log_price), self._limits.jump_floor
        if jump > allowed:
            allowed = self._allowed(tick, market)
        if not jump > allowed:  # also where there is no price to compare with
            market.refused.clear()
            return None
        if not (self._has_held(tick, market, now, jump) or _is_seconded(tick, market, now)):
            return _jumped(jump, allowed)
        market.refused.clear()
        market.log_price = math.nan  # a new level: its first return says nothing
        return None

    def _allowed(self, tick: Tick, market: _Market) -> float:
        """Return how far the log price may move until ``tick``."""
        seconds = max(1.0, (tick.sequence - market.sequence) / 1e6)
        sigmas = self._limits.jump_sigmas * math.sqrt(market.variance * seconds)
        return max(self._limits.jump_floor, sigmas)

    def _has_held(self, tick: Tick, market: _Market, now: float, jump: float) -> bool:
        level = market.refused.get(tick.venue)
        if level is None:
            market.refused[tick.venue] = level = _Level(now, tick.sequence, tick.sequence)
        else:
            level.follow(now, tick.sequence)
        held = level.seconds > self._limits.jump_confirmations
        return held and (jump < _WILD or level.last - level.since >= _HOLD_US)

    def _accept(self, tick: Tick, market: _Market, log_price: float) -> None:
        market.recent.append(tick.sequence)
        if tick.sequence < market.sequence:
            return  # the newer one says more
        if not math.isnan(market.log_price):
            seconds = max(1.0, (tick.sequence - market.sequence) / 1e6)
            square = (log_price - market.log_price) ** 2 / seconds
            market.variance += (1 - _VOLATILITY_MEMORY) * (square - market.variance)
        market.log_price = log_price
        market.sequence = tick.sequence
        while market.recent[0] < market.sequence - self._late_us:
            market.recent.popleft()


def _jumped(jump: float, allowed: float) -> Refusal:
    return Refusal("jump", f"moved by {jump:.4f} (log), {allowed:.4f} are allowed")


def _is_seconded(tick: Tick, market: _Market, now: float) -> bool:
    """Return whether another venue was refused for the same price at the same second."""
    return any(
        venue != tick.venue
        and level.last == tick.sequence
        and abs(now - level.log_price) <= _LEVEL_TOLERANCE
        for venue, level in market.refused.items()
    )


def _check_values(tick: Tick) -> Refusal | None:
    price, bid, ask = tick.price, tick.bid, tick.ask
    for name, value in (("price", price), ("bid", bid), ("ask", ask)):
        if value is not None and not _SMALLEST <= value <= _LARGEST:
            return Refusal("out_of_range", f"{name} is {value}")
    # A last price from another world than the book would be a bar's high or low.
    if bid is None or ask is None or (bid <= price * 2 and price <= ask * 2):
        return None
    return Refusal("off_book", f"price {price}, but bid {bid} and ask {ask}")
