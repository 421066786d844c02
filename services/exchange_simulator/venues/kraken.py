"""Kraken: the public REST routes; failures stand in ``error`` under HTTP 200."""

from collections.abc import Mapping

from exchange_simulator.inquiry import Answer, Inquiry, Route, fixed, iso_time
from exchange_simulator.instruments import INSTRUMENTS, base_of
from exchange_simulator.market import Quote

__all__ = ["NAMES", "PAIRS", "ROUTES", "TOO_MANY", "UNKNOWN_METHOD", "places_of", "ticker_of"]

_CODES = {"BTC": "XBT", "DOGE": "XDG"}  # Kraken's own codes
_OLD_STYLE = ("XBT", "ETH", "XRP", "LTC")  # listed before 2017: X and Z prefixes

PAIRS: Mapping[str, str] = {
    f"{_CODES.get(base_of(symbol), base_of(symbol))}USD": symbol for symbol in INSTRUMENTS
}
NAMES: Mapping[str, str] = {
    pair: f"X{pair[:-3]}ZUSD" if pair[:-3] in _OLD_STYLE else pair for pair in PAIRS
}

TOO_MANY = Answer(200, {"error": ["EGeneral:Too many requests"]})
UNKNOWN_METHOD = Answer(404, {"error": ["EGeneral:Unknown method"]})
_UNKNOWN_PAIR = Answer(200, {"error": ["EQuery:Unknown asset pair"]})
_INVALID = Answer(200, {"error": ["EGeneral:Invalid arguments"]})


def _time(inquiry: Inquiry) -> Answer:
    seconds = inquiry.clock_us // 1_000_000
    return _ok({"unixtime": seconds, "rfc1123": iso_time(seconds * 1_000_000, "seconds")})


def _ticker(inquiry: Inquiry) -> Answer:
    pairs = _asked(inquiry)
    if isinstance(pairs, Answer):
        return pairs
    return _ok({NAMES[pair]: ticker_of(inquiry, PAIRS[pair]) for pair in pairs})


def places_of(quote: Quote) -> int:
    """Return the decimals of a price."""
    return 5 if quote.bid > 1 else 8


def ticker_of(inquiry: Inquiry, symbol: str) -> dict[str, object]:
    """Return the fields a, b, c, v, p, t, l, h, o; pairs are [today, last 24 hours]."""
    quote, last, day = inquiry.quote(symbol), inquiry.trades(symbol, 1)[-1], inquiry.day(symbol)
    places = places_of(quote)
    return {
        "a": [fixed(quote.ask, places), str(int(quote.ask_size)), fixed(quote.ask_size, 3)],
        "b": [fixed(quote.bid, places), str(int(quote.bid_size)), fixed(quote.bid_size, 3)],
        "c": [fixed(last.price, places), fixed(last.size, 8)],
        "v": [fixed(day.volume / 2, 8), fixed(day.volume, 8)],
        "p": [fixed(day.vwap, places), fixed(day.vwap, places)],
        "t": [day.trades // 2, day.trades],
        "l": [fixed(day.low, places), fixed(day.low, places)],
        "h": [fixed(day.high, places), fixed(day.high, places)],
        "o": fixed(day.open, places),
    }


def _trades(inquiry: Inquiry) -> Answer:
    pairs = _asked(inquiry)
    if isinstance(pairs, Answer):
        return pairs
    since = inquiry.query.get("since", "0")
    oldest = int(since) // 1000 if since.isdecimal() else 0  # nanoseconds
    trades = inquiry.trades(PAIRS[pairs[0]], inquiry.number("count", 1000, 1000))
    rows = [
        [
            fixed(trade.price, 5),
            fixed(trade.size, 8),
            trade.time_us / 1e6,
            "b" if trade.taker_buys else "s",
            "m",
            "",
            trade.trade_id,
        ]
        for trade in trades
        if trade.time_us > oldest
    ]
    last = str((trades[-1].time_us if trades else oldest) * 1000)
    return _ok({NAMES[pairs[0]]: rows, "last": last})


def _asked(inquiry: Inquiry) -> list[str] | Answer:
    text = inquiry.query.get("pair", "")
    if not text:
        return _INVALID
    by_name = {name: pair for pair, name in NAMES.items()}
    pairs = [by_name.get(name, name) for name in text.split(",")]
    if any(PAIRS.get(pair) not in inquiry.market.symbols for pair in pairs):
        return _UNKNOWN_PAIR
    return pairs


def _ok(result: object) -> Answer:
    return Answer(200, {"error": [], "result": result})


ROUTES = (
    Route("/0/public/Time", 1, _time),
    Route("/0/public/Ticker", 1, _ticker),
    Route("/0/public/Trades", 1, _trades),
)
