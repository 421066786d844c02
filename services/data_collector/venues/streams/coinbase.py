"""Coinbase Exchange: channels ``ticker``, ``matches`` and ``heartbeat``."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

import msgspec

from common.wire import Venue
from data_collector.venues.base import TakerTrade, parse_json
from data_collector.venues.streams.base import Message, StreamAdapter, Update

__all__ = ["CoinbaseStream"]

_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class _Ticker(msgspec.Struct, tag="ticker"):
    product_id: str
    price: Decimal
    best_bid: Decimal
    best_ask: Decimal
    # The first ticker after a subscription may lack the rest; the sizes came after 2021.
    time: _Time | None = None
    trade_id: int | None = None
    last_size: Decimal | None = None
    best_bid_size: Decimal | None = None
    best_ask_size: Decimal | None = None


class _Match(msgspec.Struct, tag="match"):
    product_id: str
    trade_id: int
    side: Literal["buy", "sell"]  # of the maker (the ticker's is the taker's)
    size: Decimal


class _LastMatch(msgspec.Struct, tag="last_match"):
    product_id: str


class _Heartbeat(msgspec.Struct, tag="heartbeat"):
    product_id: str
    last_trade_id: int
    time: _Time


class _Error(msgspec.Struct, tag="error"):
    message: str = ""
    reason: str = ""


class _Subscriptions(msgspec.Struct, tag="subscriptions"):
    pass


_decoder = msgspec.json.Decoder(
    _Ticker | _Match | _LastMatch | _Heartbeat | _Error | _Subscriptions
)


class CoinbaseStream(StreamAdapter):
    """The ticker skips trades within a cascade, so matches count them; heartbeats show gaps."""

    venue: ClassVar[Venue] = "coinbase"

    def path(self, symbols: Sequence[str]) -> str:  # noqa: ARG002 - subscribed by message
        """Return nothing: all markets share one address."""
        return ""

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[str]:
        """Return one message; it must be sent within 5 s."""
        channels = ["ticker", "matches", "heartbeat"]
        message = {"type": "subscribe", "product_ids": list(symbols), "channels": channels}
        return [msgspec.json.encode(message).decode()]

    def parse(self, body: bytes, symbols: Sequence[str]) -> Message:
        """Return the ticker, the trade, or the heartbeat with its time."""
        message = parse_json(body, _decoder)
        if isinstance(message, _Ticker):
            return Message("data", (_update(message),))
        if isinstance(message, _Match):
            trade = TakerTrade(message.trade_id, message.size, message.side == "sell")
            return Message("data", (Update(message.product_id, trades=(trade,)),))
        if isinstance(message, _Heartbeat):
            update = Update(message.product_id, message.time, last_trade_id=message.last_trade_id)
            return Message("data", (update,))
        if isinstance(message, _Error):
            said = f"{message.message}: {message.reason}"
            named = next((symbol for symbol in symbols if symbol in message.reason), None)
            return Message("refused", symbol=named, detail=said)
        return Message("alive")


def _update(ticker: _Ticker) -> Update:
    return Update(
        symbol=ticker.product_id,
        event_time=ticker.time,
        price=ticker.price,
        size=ticker.last_size,
        bid=ticker.best_bid,
        bid_size=ticker.best_bid_size,
        ask=ticker.best_ask,
        ask_size=ticker.best_ask_size,
        trade_id=None if ticker.trade_id is None else str(ticker.trade_id),
    )
