"""What the forecaster sees of the market: one row of numbers for each tick, live or recorded."""

import math
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from common.clock import to_micros
from common.wire import Tick

__all__ = ["SECOND_US", "Observation", "observation_time_us", "observe_tick"]

SECOND_US = 1_000_000
_LONGEST_POLL = timedelta(seconds=5)  # a schedule further from the receipt is no schedule
_UNKNOWN = math.nan


@dataclass(frozen=True, slots=True)
class Observation:
    """The state of one market at ``time_us`` (microseconds since the epoch, UTC, our clock).

    Prices are in the quote currency, sizes and volumes in the base currency; NaN where the venue
    does not tell. ``buy_volume`` and ``sell_volume`` are what takers traded since the last one.
    """

    time_us: int
    venue: str
    mid: float
    bid: float = _UNKNOWN
    bid_size: float = _UNKNOWN
    ask: float = _UNKNOWN
    ask_size: float = _UNKNOWN
    buy_volume: float = _UNKNOWN
    sell_volume: float = _UNKNOWN


def observation_time_us(sequence: int, event_time_us: int, receive_time_us: int) -> int:
    """Return when a tick was observed, by our clock.

    A polled tick is as of its schedule (``sequence``), so polls stay one interval apart however
    long each answer takes. A streamed tick's sequence is the venue's time, whose clock may be
    seconds away from ours, so the receipt counts.
    """
    scheduled = sequence != event_time_us
    delay = timedelta(microseconds=receive_time_us - sequence)
    if scheduled and timedelta() <= delay <= _LONGEST_POLL:
        return sequence
    return receive_time_us


def _number(value: Decimal | None) -> float:
    return _UNKNOWN if value is None else float(value)


def observe_tick(tick: Tick) -> Observation:
    """Return the observation that a tick carries."""
    time_us = observation_time_us(
        tick.sequence, to_micros(tick.event_time), to_micros(tick.receive_time)
    )
    return Observation(
        time_us=time_us,
        venue=tick.venue,
        mid=tick.mid,
        bid=_number(tick.bid),
        bid_size=_number(tick.bid_size),
        ask=_number(tick.ask),
        ask_size=_number(tick.ask_size),
        buy_volume=_number(tick.buy_volume),
        sell_volume=_number(tick.sell_volume),
    )
