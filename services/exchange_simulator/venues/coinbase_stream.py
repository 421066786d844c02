"""Coinbase Exchange's WebSocket: channels ``ticker``, ``matches`` and ``heartbeat``."""

import json
from collections.abc import Iterator, Sequence

from exchange_simulator.inquiry import Inquiry, fixed, iso_time
from exchange_simulator.market import Trade
from exchange_simulator.news import News
from exchange_simulator.venues.coinbase import places_of

__all__ = ["CoinbaseSession"]

_CHANNELS = ("ticker", "matches", "heartbeat")
_HEARTBEAT_US = 1_000_000


class CoinbaseSession:
    """One client's subscriptions."""

    def __init__(self) -> None:
        self._channels: dict[str, set[str]] = {name: set() for name in _CHANNELS}
        self._news: dict[str, News] = {}
        self._beat_us = 0

    @property
    def subscribed(self) -> bool:
        """Return whether the client has subscribed, as it must within 5 s."""
        return any(self._channels.values())

    def greet(self) -> Sequence[str]:
        """Return nothing: Coinbase speaks when spoken to."""
        return ()

    def receive(self, text: str, inquiry: Inquiry) -> Sequence[str]:
        """Return the list of all subscriptions, or an error."""
        try:
            message = json.loads(text)
            products, channels = message["product_ids"], message["channels"]
            names = [c if isinstance(c, str) else c["name"] for c in channels]
        except (ValueError, TypeError, KeyError):
            return [_error("Failed to subscribe", "Malformed JSON")]
        unknown = [product for product in products if product not in inquiry.market.symbols]
        if unknown:
            return [_error("Failed to subscribe", f"{unknown[0]} is not a valid product")]
        for name in names:
            if name not in self._channels:
                return [_error("Failed to subscribe", f"{name} is not a valid channel")]
            self._channels[name].update(products)
        return [json.dumps(self._subscriptions()), *self._last_matches(names, products, inquiry)]

    def step(self, inquiry: Inquiry, *, lossy: bool) -> Sequence[str]:
        """Return the matches, the ticker after them, and each second a heartbeat."""
        found: list[dict[str, object]] = []
        for product in sorted(self._channels["ticker"] | self._channels["matches"]):
            news = self._news.setdefault(product, News(product))
            first = not news.started
            trades = news.trades(inquiry)
            if not lossy:
                found += self._matches(product, trades)
                if product in self._channels["ticker"] and (trades or first):
                    found.append(_ticker(inquiry, product, trades))
        if inquiry.at_us - self._beat_us >= _HEARTBEAT_US:
            self._beat_us = inquiry.at_us
            found += [_heartbeat(inquiry, each) for each in sorted(self._channels["heartbeat"])]
        return [json.dumps(message) for message in found]

    def _matches(self, product: str, trades: Sequence[Trade]) -> Iterator[dict[str, object]]:
        if product in self._channels["matches"]:
            for trade in trades:
                yield _match("match", product, trade)

    def _last_matches(
        self, names: Sequence[str], products: Sequence[str], inquiry: Inquiry
    ) -> Iterator[str]:
        if "matches" in names:
            for product in products:
                last = inquiry.trades(product, 1)[-1]
                yield json.dumps(_match("last_match", product, last))

    def _subscriptions(self) -> dict[str, object]:
        channels = [
            {"name": name, "product_ids": sorted(products)}
            for name, products in self._channels.items()
            if products
        ]
        return {"type": "subscriptions", "channels": channels}


def _error(message: str, reason: str) -> str:
    return json.dumps({"type": "error", "message": message, "reason": reason})


def _ticker(inquiry: Inquiry, product: str, trades: Sequence[Trade]) -> dict[str, object]:
    quote, day, places = inquiry.quote(product), inquiry.day(product), places_of(product)
    last = trades[-1] if trades else inquiry.trades(product, 1)[-1]
    return {
        "type": "ticker",
        "sequence": last.trade_id * 4,
        "product_id": product,
        "price": fixed(last.price, places),
        "open_24h": fixed(day.open, places),
        "volume_24h": fixed(day.volume, 8),
        "low_24h": fixed(day.low, places),
        "high_24h": fixed(day.high, places),
        "volume_30d": fixed(day.volume * 30, 8),
        "best_bid": fixed(quote.bid, places),
        "best_bid_size": fixed(quote.bid_size, 8),
        "best_ask": fixed(quote.ask, places),
        "best_ask_size": fixed(quote.ask_size, 8),
        "side": "buy" if last.taker_buys else "sell",
        "time": iso_time(last.time_us),
        "trade_id": last.trade_id,
        "last_size": fixed(last.size, 8),
    }


def _match(kind: str, product: str, trade: Trade) -> dict[str, object]:
    order = f"{trade.trade_id:032x}"
    identifier = "-".join((order[:8], order[8:12], order[12:16], order[16:20], order[20:]))
    return {
        "type": kind,
        "trade_id": trade.trade_id,
        "maker_order_id": identifier,
        "taker_order_id": identifier[::-1],
        "side": "sell" if trade.taker_buys else "buy",
        "size": fixed(trade.size, 8),
        "price": fixed(trade.price, places_of(product)),
        "product_id": product,
        "sequence": trade.trade_id * 4,
        "time": iso_time(trade.time_us),
    }


def _heartbeat(inquiry: Inquiry, product: str) -> dict[str, object]:
    last = inquiry.trades(product, 1)[-1].trade_id
    return {
        "type": "heartbeat",
        "last_trade_id": last,
        "product_id": product,
        "sequence": last * 4 + 1,
        "time": iso_time(inquiry.clock_us),
    }
