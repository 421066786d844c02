"""Kraken's WebSocket, version 1: channels ``ticker`` and ``trade``, heartbeats in between."""

import json
from collections.abc import Sequence

from exchange_simulator.inquiry import Inquiry, fixed
from exchange_simulator.market import Trade
from exchange_simulator.news import News
from exchange_simulator.venues.kraken import PAIRS, places_of, ticker_of

__all__ = ["KrakenSession"]

_HEARTBEAT_US = 1_000_000
_IDS = {"ticker": 340, "trade": 337}  # of the first pair's channels


class KrakenSession:
    """One client's channels."""

    def __init__(self) -> None:
        self._channels: dict[tuple[str, str], News] = {}
        self._spoke_us = 0

    @property
    def subscribed(self) -> bool:
        """Return True: Kraken does not drop silent clients."""
        return True

    def greet(self) -> Sequence[str]:
        """Return the system's status."""
        status = {"connectionID": 8628615390848610000, "event": "systemStatus"}
        return [json.dumps({**status, "status": "online", "version": "1.9.6"})]

    def receive(self, text: str, inquiry: Inquiry) -> Sequence[str]:
        """Return one subscription status for each pair."""
        try:
            message = json.loads(text)
            channel, pairs = message["subscription"]["name"], list(message["pair"])
        except (ValueError, TypeError, KeyError):
            return ['{"errorMessage":"Malformed request","event":"error"}']
        return [json.dumps(self._subscribe(channel, pair, inquiry)) for pair in pairs]

    def step(self, inquiry: Inquiry, *, lossy: bool) -> Sequence[str]:
        """Return what is new in each channel, or a heartbeat where a second had nothing."""
        found: list[object] = []
        for (channel, pair), news in self._channels.items():
            content = _content(channel, news, inquiry)
            if content is not None and not lossy:
                found.append([self._id(channel, pair), content, channel, pair])
        if not found and inquiry.at_us - self._spoke_us >= _HEARTBEAT_US:
            found.append({"event": "heartbeat"})
        if found:
            self._spoke_us = inquiry.at_us
        return [json.dumps(message) for message in found]

    def _subscribe(self, channel: str, pair: str, inquiry: Inquiry) -> dict[str, object]:
        symbol = PAIRS.get(pair.replace("/", ""), "")
        status: dict[str, object] = {
            "event": "subscriptionStatus",
            "pair": pair,
            "subscription": {"name": channel},
        }
        if symbol not in inquiry.market.symbols or channel not in _IDS:
            reason = f"Currency pair not supported {pair}"
            return {**status, "status": "error", "errorMessage": reason}
        self._channels[channel, pair] = News(symbol)
        channel_id = self._id(channel, pair)
        named = {"channelID": channel_id, "channelName": channel, "status": "subscribed"}
        return {**named, **status}

    def _id(self, channel: str, pair: str) -> int:
        return _IDS[channel] + 4 * list(PAIRS).index(pair.replace("/", ""))


def _content(channel: str, news: News, inquiry: Inquiry) -> object | None:
    if channel == "trade":
        return [_trade(trade) for trade in news.trades(inquiry)] or None
    if news.quote(inquiry) is None:
        return None
    ticker, quote = ticker_of(inquiry, news.symbol), inquiry.quote(news.symbol)
    # As REST, but whole lots are numbers, and the opening price is a pair too.
    whole = {
        name: [price, int(size), fixed(size, 3)]
        for name, price, size in (
            ("a", fixed(quote.ask, places_of(quote)), quote.ask_size),
            ("b", fixed(quote.bid, places_of(quote)), quote.bid_size),
        )
    }
    return {**ticker, **whole, "o": [ticker["o"], ticker["o"]]}


def _trade(trade: Trade) -> list[str]:
    side = "b" if trade.taker_buys else "s"
    moment = f"{trade.time_us / 1e6:.6f}"
    return [fixed(trade.price, 5), fixed(trade.size, 8), moment, side, "m", ""]
