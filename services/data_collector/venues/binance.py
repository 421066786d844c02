"""Binance spot: best bid and offer, aggregate trades; US dollars mean their USDT markets."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, ClassVar

import msgspec

from common.wire import Venue
from data_collector.errors import AnswerError
from data_collector.venues.base import (
    Adapter,
    Answers,
    Observation,
    Request,
    TakerTrade,
    parse_json,
)

__all__ = ["BinanceAdapter", "market_name"]

_TRADES = 500  # enough for one second
_Millis = Annotated[int, msgspec.Meta(ge=0, le=32_503_680_000_000)]  # up to the year 3000


class _BookTicker(msgspec.Struct):
    symbol: str
    bid_price: Decimal = msgspec.field(name="bidPrice")
    bid_quantity: Decimal = msgspec.field(name="bidQty")
    ask_price: Decimal = msgspec.field(name="askPrice")
    ask_quantity: Decimal = msgspec.field(name="askQty")


class _AggregateTrade(msgspec.Struct):
    trade_id: int = msgspec.field(name="a")
    price: Decimal = msgspec.field(name="p")
    quantity: Decimal = msgspec.field(name="q")
    time: _Millis = msgspec.field(name="T")
    buyer_is_maker: bool = msgspec.field(name="m")


_book_ticker = msgspec.json.Decoder(_BookTicker)
_agg_trades = msgspec.json.Decoder(list[_AggregateTrade])


def market_name(symbol: str) -> str:
    """Return ``BTCUSDT`` of ``BTC-USD``."""
    base, _, quote = symbol.partition("-")
    return base + ("USDT" if quote == "USD" else quote)


class BinanceAdapter(Adapter):
    """Two requests for each symbol; the book has no time stamp there."""

    venue: ClassVar[Venue] = "binance"
    limit_per_s: ClassVar[float] = 100.0  # 6,000 a minute
    time_path: ClassVar[str] = "/api/v3/time"

    def requests(self, symbols: Sequence[str]) -> Sequence[Request]:
        """Return book ticker and aggregate trades of each symbol."""
        return [
            Request(
                f"{name}:{symbol}",
                f"/api/v3/{path}",
                {"symbol": market_name(symbol), **more},
                (symbol,),
                weight,
            )
            for name, path, more, weight in (
                ("book", "ticker/bookTicker", {}, 2),
                ("trades", "aggTrades", {"limit": str(_TRADES)}, 4),
            )
            for symbol in symbols
        ]

    def parse(self, symbol: str, answers: Answers) -> Observation:
        """Return the book and the last trade."""
        body = answers[f"book:{symbol}"]
        book = parse_json(body, _book_ticker)
        if book.symbol != market_name(symbol):
            raise AnswerError("malformed", f"asked for {symbol}, got {book.symbol}", body)
        trades_body = answers[f"trades:{symbol}"]
        trades = parse_json(trades_body, _agg_trades)
        if not trades:
            raise AnswerError("malformed", "no trades", trades_body)
        last = trades[-1]
        return Observation(
            price=last.price,
            size=last.quantity,
            bid=book.bid_price,
            bid_size=book.bid_quantity,
            ask=book.ask_price,
            ask_size=book.ask_quantity,
            trade_id=str(last.trade_id),
            trades=tuple(
                TakerTrade(each.trade_id, each.quantity, not each.buyer_is_maker) for each in trades
            ),
        )
