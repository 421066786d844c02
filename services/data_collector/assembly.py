"""From a venue's observation to a tick on the wire: pure."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from common.wire import Feed, Tick, Venue
from data_collector.errors import AnswerError
from data_collector.venues import Observation, TakerTrade, Totals

__all__ = ["Flow", "Stamp", "assemble", "flow_between", "flow_since"]


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """What the collector adds to an observation; ``sequence`` is the scheduled microsecond."""

    venue: Venue
    feed: Feed
    sequence: int
    receive_time: datetime


class Flow(msgspec.Struct, frozen=True, gc=False):
    """What takers bought and sold."""

    buy: Decimal
    sell: Decimal


def flow_since(trades: Sequence[TakerTrade], last_id: int | None) -> Flow | None:
    """Return the flow of the trades after ``last_id``; None where not all of them are known."""
    if last_id is None or not trades or trades[0].trade_id > last_id + 1:
        return None
    buy = sell = Decimal(0)
    for trade in trades:
        if trade.trade_id > last_id and trade.size.is_finite():
            if trade.taker_buys:
                buy += trade.size
            else:
                sell += trade.size
    return Flow(buy, sell)


def flow_between(before: Totals | None, now: Totals) -> Flow | None:
    """Return the flow between two states of one connection; None across connections."""
    if before is None or before.connection != now.connection:
        return None
    return Flow(now.bought - before.bought, now.sold - before.sold)


def assemble(symbol: str, seen: Observation, stamp: Stamp, flow: Flow | None = None) -> Tick:
    """Return the tick; raises `AnswerError` where a value is not finite, positive or crossed."""
    try:
        return Tick(
            symbol=symbol,
            venue=stamp.venue,
            feed=stamp.feed,
            sequence=stamp.sequence,
            event_time=seen.event_time or stamp.receive_time,
            receive_time=stamp.receive_time,
            price=seen.price,
            size=seen.size,
            bid=seen.bid,
            bid_size=seen.bid_size,
            ask=seen.ask,
            ask_size=seen.ask_size,
            buy_volume=flow.buy if flow else None,
            sell_volume=flow.sell if flow else None,
            trade_id=seen.trade_id,
            event_time_estimated=seen.event_time is None,
        )
    except ValueError as error:
        raise AnswerError("invalid_value", str(error), repr(seen).encode()) from error
