"""Kraken, version 1 of its WebSocket interface: channels ``ticker`` and ``trade``."""

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Literal

import msgspec

from common.wire import Venue
from data_collector.errors import AnswerError
from data_collector.venues.base import TakerTrade, parse_json
from data_collector.venues.kraken import code_of
from data_collector.venues.streams.base import Message, StreamAdapter, Update

__all__ = ["KrakenStream", "pair_of"]

_NO_ID = -1


class _Ticker(msgspec.Struct):
    a: tuple[Decimal, int | Decimal, Decimal]  # price, whole lots, lots
    b: tuple[Decimal, int | Decimal, Decimal]
    c: tuple[Decimal, Decimal]  # price, size of the last trade


class _Event(msgspec.Struct):
    event: str
    status: str = ""
    pair: str = ""
    error_message: str = msgspec.field(default="", name="errorMessage")


_any = msgspec.json.Decoder(msgspec.Raw)
_event = msgspec.json.Decoder(_Event)
_data = msgspec.json.Decoder(tuple[int, msgspec.Raw, str, str])
_ticker = msgspec.json.Decoder(_Ticker)
_trades = msgspec.json.Decoder(list[tuple[Decimal, Decimal, Decimal, Literal["b", "s"], str, str]])


def pair_of(symbol: str) -> str:
    """Return ``XBT/USD`` of ``BTC-USD``."""
    base, _, quote = symbol.partition("-")
    return f"{code_of(base)}/{code_of(quote)}"


class KrakenStream(StreamAdapter):
    """Trades have no identifiers, the ticker no time; heartbeats come while nothing else does."""

    venue: ClassVar[Venue] = "kraken"

    def path(self, symbols: Sequence[str]) -> str:  # noqa: ARG002 - subscribed by message
        """Return nothing: all markets share one address."""
        return ""

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[str]:
        """Return one message for each channel."""
        pairs = [pair_of(symbol) for symbol in symbols]
        return [
            msgspec.json.encode(
                {"event": "subscribe", "pair": pairs, "subscription": {"name": channel}}
            ).decode()
            for channel in ("ticker", "trade")
        ]

    def parse(self, body: bytes, symbols: Sequence[str]) -> Message:
        """Return the ticker, the trades, or the event."""
        raw = bytes(parse_json(body, _any)).lstrip()
        if raw.startswith(b"{"):
            return _read_event(parse_json(body, _event), symbols)
        _, content, channel, pair = parse_json(body, _data)
        symbol = _symbol(pair, symbols)
        if symbol is None:
            raise AnswerError("malformed", f"not subscribed to {pair}", body)
        if channel == "ticker":
            return Message("data", (_read_ticker(symbol, bytes(content)),))
        if channel == "trade":
            return Message("data", _read_trades(symbol, bytes(content)))
        return Message("alive")


def _read_event(event: _Event, symbols: Sequence[str]) -> Message:
    if event.event == "subscriptionStatus" and event.status == "error":
        return Message("refused", symbol=_symbol(event.pair, symbols), detail=event.error_message)
    return Message("alive")


def _read_ticker(symbol: str, content: bytes) -> Update:
    ticker = parse_json(content, _ticker)
    return Update(
        symbol=symbol,
        price=ticker.c[0],
        size=ticker.c[1],
        bid=ticker.b[0],
        bid_size=ticker.b[2],
        ask=ticker.a[0],
        ask_size=ticker.a[2],
    )


def _read_trades(symbol: str, content: bytes) -> tuple[Update, ...]:
    rows = parse_json(content, _trades)
    return tuple(
        Update(
            symbol, price=row[0], size=row[1], trades=(TakerTrade(_NO_ID, row[1], row[3] == "b"),)
        )
        for row in rows
    )


def _symbol(pair: str, symbols: Sequence[str]) -> str | None:
    return next((symbol for symbol in symbols if pair_of(symbol) == pair), None)
