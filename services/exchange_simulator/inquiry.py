"""One question to a venue, with the faults that touch its content already in it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from exchange_simulator.market import DaySummary, Market, Quote, Trade

__all__ = ["Answer", "Inquiry", "Route", "fixed", "iso_time"]

_JUMPS: Mapping[str, float] = {"coinbase": 10.0, "binance": 100.0, "kraken": 1000.0}  # unlike
_DISTORT: Mapping[str, Callable[[str, float], float]] = {
    "negative": lambda _venue, price: -price,
    "zero": lambda _venue, price: 0.0 * price,
    "jump": lambda venue, price: _JUMPS[venue] * price,
    "nan": lambda _venue, _price: math.nan,
}


class Answer(NamedTuple):
    """An HTTP status, and a body to be sent as JSON."""

    status: int
    body: object


@dataclass(frozen=True)
class Inquiry:
    """``at_us`` is the market's moment that is shown, ``clock_us`` what the venue's clock says."""

    venue: str
    market: Market
    at_us: int
    clock_us: int
    query: Mapping[str, str]
    parts: Mapping[str, str] = field(default_factory=dict)
    absurd: str | None = None

    def quote(self, symbol: str) -> Quote:
        """Return the best prices, absurd ones if that is the fault."""
        quote = self.market.quote(self.venue, symbol, self.at_us)
        if self.absurd == "crossed":
            quote = quote._replace(bid=quote.ask * 1.01)
        elif self.absurd:
            quote = quote._replace(bid=self._distort(quote.bid), ask=self._distort(quote.ask))
        return quote._replace(time_us=quote.time_us + self._skew_us)

    def trades(self, symbol: str, limit: int) -> Sequence[Trade]:
        """Return the last trades, oldest first."""
        trades = self.market.trades(self.venue, symbol, self.at_us, limit)
        return [
            trade._replace(price=self._distort(trade.price), time_us=trade.time_us + self._skew_us)
            for trade in trades
        ]

    def day(self, symbol: str) -> DaySummary:
        """Return the statistics of 24 hours."""
        return self.market.day(self.venue, symbol, self.at_us)

    def number(self, name: str, default: int, largest: int) -> int:
        """Return the whole number in the query, within 1 and ``largest``."""
        text = self.query.get(name, "")
        return min(max(1, int(text)), largest) if text.isdecimal() else default

    def _distort(self, price: float) -> float:
        change = _DISTORT.get(self.absurd or "")
        return change(self.venue, price) if change else price

    @property
    def _skew_us(self) -> int:
        return self.clock_us - self.at_us


class Route(NamedTuple):
    """A path below the venue's prefix, what it weighs in the rate limit, and how to answer."""

    path: str
    weight: int
    answer: Callable[[Inquiry], Answer]


def fixed(value: float, places: int) -> str:
    """Return ``value`` with ``places`` decimals, as venues send numbers."""
    return "NaN" if math.isnan(value) else f"{value:.{places}f}"


def iso_time(micros: int, timespec: str = "microseconds") -> str:
    """Return ``2021-04-17T16:44:06.654322Z``."""
    moment = datetime.fromtimestamp(micros // 1_000_000, UTC).replace(
        microsecond=micros % 1_000_000
    )
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")
