"""Binance spot: combined streams ``bookTicker`` and ``aggTrade``."""

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar

import msgspec

from common.wire import Venue
from data_collector.errors import AnswerError
from data_collector.venues.base import TakerTrade, parse_json
from data_collector.venues.binance import market_name
from data_collector.venues.streams.base import Message, StreamAdapter, Update

__all__ = ["BinanceStream"]


class _Envelope(msgspec.Struct):
    stream: str
    data: msgspec.Raw


class _BookTicker(msgspec.Struct):
    s: str
    b: Decimal
    B: Decimal
    a: Decimal
    A: Decimal


class _AggregateTrade(msgspec.Struct):
    s: str
    a: int  # identifier
    p: Decimal
    q: Decimal
    m: bool  # the buyer is the maker


_envelope = msgspec.json.Decoder(_Envelope)
_book_ticker = msgspec.json.Decoder(_BookTicker)
_agg_trade = msgspec.json.Decoder(_AggregateTrade)


class BinanceStream(StreamAdapter):
    """The book has no time stamp there; a market that is unknown is never heard of."""

    venue: ClassVar[Venue] = "binance"

    def path(self, symbols: Sequence[str]) -> str:
        """Return the combined stream of all markets."""
        names = [market_name(symbol).lower() for symbol in symbols]
        streams = [f"{name}@{kind}" for name in names for kind in ("bookTicker", "aggTrade")]
        return f"/stream?streams={'/'.join(streams)}"

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 - in the path
        """Return nothing: the path has subscribed."""
        return []

    def parse(self, body: bytes, symbols: Sequence[str]) -> Message:
        """Return the book or the trade."""
        envelope = parse_json(body, _envelope)
        if envelope.stream.endswith("@bookTicker"):
            book = parse_json(bytes(envelope.data), _book_ticker)
            symbol = _symbol(book.s, symbols, body)
            update = Update(symbol, bid=book.b, bid_size=book.B, ask=book.a, ask_size=book.A)
        elif envelope.stream.endswith("@aggTrade"):
            trade = parse_json(bytes(envelope.data), _agg_trade)
            update = Update(
                symbol=_symbol(trade.s, symbols, body),
                price=trade.p,
                size=trade.q,
                trade_id=str(trade.a),
                trades=(TakerTrade(trade.a, trade.q, not trade.m),),
            )
        else:
            return Message("alive")
        return Message("data", (update,))


def _symbol(name: str, symbols: Sequence[str], body: bytes) -> str:
    for symbol in symbols:
        if market_name(symbol) == name:
            return symbol
    raise AnswerError("malformed", f"not subscribed to {name}", body)
