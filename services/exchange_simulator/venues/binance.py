"""Binance spot: the public REST routes; US dollars stand for their USDT markets."""

import json
from collections.abc import Callable, Mapping

from exchange_simulator.inquiry import Answer, Inquiry, Route, fixed
from exchange_simulator.instruments import INSTRUMENTS, base_of
from exchange_simulator.market import Trade

__all__ = ["ROUTES", "SYMBOLS", "TOO_MANY"]

SYMBOLS: Mapping[str, str] = {f"{base_of(symbol)}USDT": symbol for symbol in INSTRUMENTS}

_INVALID = Answer(400, {"code": -1121, "msg": "Invalid symbol."})
_NO_SYMBOL = Answer(
    400,
    {
        "code": -1102,
        "msg": "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
    },
)
TOO_MANY = Answer(
    429,
    {
        "code": -1003,
        "msg": "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
    },
)


def _time(inquiry: Inquiry) -> Answer:
    return Answer(200, {"serverTime": inquiry.clock_us // 1000})


def _ping(_inquiry: Inquiry) -> Answer:
    return Answer(200, {})


def _price(inquiry: Inquiry, name: str) -> object:
    last = inquiry.trades(SYMBOLS[name], 1)[-1]
    return {"symbol": name, "price": fixed(last.price, 8)}


def _book_ticker(inquiry: Inquiry, name: str) -> object:
    quote = inquiry.quote(SYMBOLS[name])
    return {
        "symbol": name,
        "bidPrice": fixed(quote.bid, 8),
        "bidQty": fixed(quote.bid_size, 8),
        "askPrice": fixed(quote.ask, 8),
        "askQty": fixed(quote.ask_size, 8),
    }


def _agg_trades(inquiry: Inquiry, name: str) -> object:
    trades = inquiry.trades(SYMBOLS[name], inquiry.number("limit", 500, 1000))
    return [_agg_trade(trade) for trade in trades]


def _agg_trade(trade: Trade) -> dict[str, object]:
    return {
        "a": trade.trade_id,
        "p": fixed(trade.price, 8),
        "q": fixed(trade.size, 8),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": trade.time_us // 1000,
        "m": not trade.taker_buys,
        "M": True,
    }


def _trades(inquiry: Inquiry, name: str) -> object:
    trades = inquiry.trades(SYMBOLS[name], inquiry.number("limit", 500, 1000))
    return [
        {
            "id": trade.trade_id,
            "price": fixed(trade.price, 8),
            "qty": fixed(trade.size, 8),
            "quoteQty": fixed(trade.price * trade.size, 8),
            "time": trade.time_us // 1000,
            "isBuyerMaker": not trade.taker_buys,
            "isBestMatch": True,
        }
        for trade in trades
    ]


def _of_symbol(
    answer: Callable[[Inquiry, str], object], *, several: bool = False
) -> Callable[[Inquiry], Answer]:
    """Return a route that answers for ``symbol``, or (if ``several``) for ``symbols`` too."""

    def checked(inquiry: Inquiry) -> Answer:
        one, many = inquiry.query.get("symbol"), inquiry.query.get("symbols")
        names = [one] if one else _listed(many) if several and many else None
        if names is None:
            return _NO_SYMBOL
        if not names or any(SYMBOLS.get(name) not in inquiry.market.symbols for name in names):
            return _INVALID
        bodies = [answer(inquiry, name) for name in names]
        return Answer(200, bodies[0] if one else bodies)

    return checked


def _listed(text: str) -> list[str]:
    try:
        names = json.loads(text)
    except ValueError:
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


ROUTES = (
    Route("/api/v3/ping", 1, _ping),
    Route("/api/v3/time", 1, _time),
    Route("/api/v3/ticker/price", 2, _of_symbol(_price, several=True)),
    Route("/api/v3/ticker/bookTicker", 2, _of_symbol(_book_ticker, several=True)),
    Route("/api/v3/aggTrades", 4, _of_symbol(_agg_trades)),
    Route("/api/v3/trades", 25, _of_symbol(_trades)),
)
