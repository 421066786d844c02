"""Coinbase Exchange: the public REST routes."""

from collections.abc import Callable

from exchange_simulator.inquiry import Answer, Inquiry, Route, fixed, iso_time
from exchange_simulator.instruments import INSTRUMENTS, base_of
from exchange_simulator.market import Trade

__all__ = ["NOT_FOUND", "ROUTES", "TOO_MANY"]

NOT_FOUND = Answer(404, {"message": "NotFound"})
TOO_MANY = Answer(429, {"message": "Public rate limit exceeded"})


def places_of(symbol: str) -> int:
    """Return the decimals of a price."""
    tick = INSTRUMENTS[symbol].ticks["coinbase"]
    return max(2, len(f"{tick:.10f}".rstrip("0").partition(".")[2]))


def _product(symbol: str) -> dict[str, object]:
    return {
        "id": symbol,
        "base_currency": base_of(symbol),
        "quote_currency": "USD",
        "quote_increment": fixed(10.0 ** -places_of(symbol), places_of(symbol)),
        "base_increment": "0.00000001",
        "display_name": symbol.replace("-", "/"),
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "trading_disabled": False,
        "status": "online",
        "status_message": "",
        "auction_mode": False,
    }


def _products(inquiry: Inquiry) -> Answer:
    return Answer(200, [_product(symbol) for symbol in inquiry.market.symbols])


def _one_product(inquiry: Inquiry, symbol: str) -> Answer:  # noqa: ARG001 - every route's form
    return Answer(200, _product(symbol))


def _time(inquiry: Inquiry) -> Answer:
    clock = inquiry.clock_us
    return Answer(200, {"iso": iso_time(clock, "milliseconds"), "epoch": round(clock / 1e6, 3)})


def _ticker(inquiry: Inquiry, symbol: str) -> Answer:
    quote, last = inquiry.quote(symbol), inquiry.trades(symbol, 1)[-1]
    places = places_of(symbol)
    body = {
        "ask": fixed(quote.ask, places),
        "bid": fixed(quote.bid, places),
        "volume": fixed(inquiry.day(symbol).volume, 8),
        "trade_id": last.trade_id,
        "price": fixed(last.price, places),
        "size": fixed(last.size, 8),
        "time": iso_time(last.time_us),
    }
    return Answer(200, body)


def _book(inquiry: Inquiry, symbol: str) -> Answer:
    quote, places = inquiry.quote(symbol), places_of(symbol)
    body = {
        "bids": [[fixed(quote.bid, places), fixed(quote.bid_size, 8), 1 + quote.update % 5]],
        "asks": [[fixed(quote.ask, places), fixed(quote.ask_size, 8), 1 + quote.update % 4]],
        "sequence": quote.update,
        "auction_mode": False,
        "auction": None,
        "time": iso_time(max(quote.time_us, inquiry.clock_us)),
    }
    return Answer(200, body)


def _trades(inquiry: Inquiry, symbol: str) -> Answer:
    trades = inquiry.trades(symbol, inquiry.number("limit", 1000, 1000))
    return Answer(200, [_trade(trade, places_of(symbol)) for trade in reversed(trades)])


def _trade(trade: Trade, places: int) -> dict[str, object]:
    return {
        "trade_id": trade.trade_id,
        "side": "sell" if trade.taker_buys else "buy",  # the maker's side
        "size": fixed(trade.size, 8),
        "price": fixed(trade.price, places),
        "time": iso_time(trade.time_us),
    }


def _of_product(answer: Callable[[Inquiry, str], Answer]) -> Callable[[Inquiry], Answer]:
    def checked(inquiry: Inquiry) -> Answer:
        symbol = inquiry.parts["product"]
        return answer(inquiry, symbol) if symbol in inquiry.market.symbols else NOT_FOUND

    return checked


ROUTES = (
    Route("/time", 1, _time),
    Route("/products", 1, _products),
    Route("/products/{product}", 1, _of_product(_one_product)),
    Route("/products/{product}/ticker", 1, _of_product(_ticker)),
    Route("/products/{product}/book", 1, _of_product(_book)),
    Route("/products/{product}/trades", 1, _of_product(_trades)),
)
