"""Coinbase Exchange: ticker, best bid and offer with sizes, recent trades."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

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

__all__ = ["CoinbaseAdapter"]

_TRADES = 100  # enough for one second
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class _Ticker(msgspec.Struct):
    trade_id: int
    price: Decimal
    size: Decimal
    time: _Time
    bid: Decimal
    ask: Decimal


class _Book(msgspec.Struct):
    bids: list[tuple[Decimal, Decimal, int]]
    asks: list[tuple[Decimal, Decimal, int]]
    time: _Time | None = None


class _Trade(msgspec.Struct):
    trade_id: int
    side: Literal["buy", "sell"]  # of the maker: a maker who sells meets a taker who buys
    size: Decimal


_ticker = msgspec.json.Decoder(_Ticker)
_book = msgspec.json.Decoder(_Book)
_trades = msgspec.json.Decoder(list[_Trade])


class CoinbaseAdapter(Adapter):
    """Three requests for each symbol; without the book the best sizes are unknown."""

    venue: ClassVar[Venue] = "coinbase"
    limit_per_s: ClassVar[float] = 10.0
    time_path: ClassVar[str] = "/time"

    def requests(self, symbols: Sequence[str]) -> Sequence[Request]:
        """Return ticker, book and trades of each symbol."""
        return [
            Request(f"{name}:{symbol}", f"/products/{symbol}/{name}", params, (symbol,), 1, needed)
            for name, params, needed in (
                ("ticker", {}, True),
                ("book", {"level": "1"}, False),
                ("trades", {"limit": str(_TRADES)}, False),
            )
            for symbol in symbols
        ]

    def parse(self, symbol: str, answers: Answers) -> Observation:
        """Return the ticker, with the book's prices, sizes and time where it was asked for."""
        ticker = parse_json(answers[f"ticker:{symbol}"], _ticker)
        book = self._book(answers.get(f"book:{symbol}"))
        bid, ask = (book.bids[0], book.asks[0]) if book else (None, None)
        book_time = book.time if book and book.time else ticker.time
        return Observation(
            price=ticker.price,
            size=ticker.size,
            event_time=max(ticker.time, book_time),
            bid=bid[0] if bid else ticker.bid,
            bid_size=bid[1] if bid else None,
            ask=ask[0] if ask else ticker.ask,
            ask_size=ask[1] if ask else None,
            trade_id=str(ticker.trade_id),
            trades=self._trades(answers.get(f"trades:{symbol}")),
        )

    @staticmethod
    def _book(body: bytes | None) -> _Book | None:
        if body is None:
            return None
        book = parse_json(body, _book)
        if not book.bids or not book.asks:
            raise AnswerError("malformed", "one side of the book is empty", body)
        return book

    @staticmethod
    def _trades(body: bytes | None) -> tuple[TakerTrade, ...]:
        rows = parse_json(body, _trades) if body is not None else []
        return tuple(TakerTrade(row.trade_id, row.size, row.side == "sell") for row in rows[::-1])
