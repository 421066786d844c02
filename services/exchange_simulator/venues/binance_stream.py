"""Binance's combined streams ``bookTicker`` and ``aggTrade``; the path subscribes."""

import json
from collections.abc import Sequence

from exchange_simulator.inquiry import Inquiry, fixed
from exchange_simulator.market import Quote, Trade
from exchange_simulator.news import News
from exchange_simulator.venues.binance import SYMBOLS

__all__ = ["BinanceSession"]


class BinanceSession:
    """One client's streams; unknown ones are accepted and stay silent, as they do there."""

    def __init__(self, streams: str) -> None:
        self._books: list[tuple[str, News]] = []
        self._trades: list[tuple[str, News]] = []
        for name in streams.split("/"):
            market, _, kind = name.partition("@")
            news = News(SYMBOLS.get(market.upper(), ""))
            if kind in ("bookTicker", "aggTrade"):
                (self._books if kind == "bookTicker" else self._trades).append((market, news))

    @property
    def subscribed(self) -> bool:
        """Return whether there is any stream."""
        return bool(self._books or self._trades)

    def greet(self) -> Sequence[str]:
        """Return nothing."""
        return ()

    def receive(self, text: str, inquiry: Inquiry) -> Sequence[str]:  # noqa: ARG002
        """Return Binance's answer to what it does not understand."""
        return ['{"error":{"code":2,"msg":"Invalid request"}}']

    def step(self, inquiry: Inquiry, *, lossy: bool) -> Sequence[str]:
        """Return the trades, then the books that changed."""
        found: list[dict[str, object]] = []
        for market, news in self._trades:
            if news.symbol in inquiry.market.symbols:
                found += [_agg_trade(market, trade, inquiry) for trade in news.trades(inquiry)]
        for market, news in self._books:
            quote = news.quote(inquiry) if news.symbol in inquiry.market.symbols else None
            if quote is not None:
                found.append(_book_ticker(market, quote))
        return [] if lossy else [json.dumps(message) for message in found]


def _book_ticker(market: str, quote: Quote) -> dict[str, object]:
    data = {
        "u": quote.update,
        "s": market.upper(),
        "b": fixed(quote.bid, 8),
        "B": fixed(quote.bid_size, 8),
        "a": fixed(quote.ask, 8),
        "A": fixed(quote.ask_size, 8),
    }
    return {"stream": f"{market}@bookTicker", "data": data}


def _agg_trade(market: str, trade: Trade, inquiry: Inquiry) -> dict[str, object]:
    data = {
        "e": "aggTrade",
        "E": inquiry.clock_us // 1000,
        "s": market.upper(),
        "a": trade.trade_id,
        "p": fixed(trade.price, 8),
        "q": fixed(trade.size, 8),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": trade.time_us // 1000,
        "m": not trade.taker_buys,
        "M": True,
    }
    return {"stream": f"{market}@aggTrade", "data": data}
