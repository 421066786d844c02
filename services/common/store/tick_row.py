"""A tick as a row of the table ``ticks``."""

from typing import NamedTuple

from common.clock import to_micros
from common.wire import Tick

__all__ = ["TickRow", "to_row"]


class TickRow(NamedTuple):
    """The columns of ``ticks`` in their order."""

    feed: str
    symbol: str
    sequence: int
    venue: str
    event_time: int
    receive_time: int
    price: str
    size: str | None
    bid: str | None
    bid_size: str | None
    ask: str | None
    ask_size: str | None
    buy_volume: str | None
    sell_volume: str | None
    trade_id: str | None
    event_time_estimated: bool
    last_price: float
    mid_price: float


_EXACT = ("price", "size", "bid", "bid_size", "ask", "ask_size", "buy_volume", "sell_volume")


def to_row(tick: Tick) -> TickRow:
    """Return the row of ``tick``."""
    exact = [
        None if (value := getattr(tick, name)) is None else f"{value:f}"  # never 1E-8
        for name in _EXACT
    ]
    return TickRow._make(
        (
            tick.feed,
            tick.symbol,
            tick.sequence,
            tick.venue,
            to_micros(tick.event_time),
            to_micros(tick.receive_time),
            *exact,
            tick.trade_id,
            tick.event_time_estimated,
            float(tick.price),
            tick.mid,
        )
    )
