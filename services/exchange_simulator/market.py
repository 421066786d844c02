"""What any source of market data, simulated or recorded, offers to the venues' protocols.

All times are whole microseconds since the Unix epoch, on the exchange's clock.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = ["DaySummary", "Market", "Quote", "Trade"]


class Quote(NamedTuple):
    """Best bid and offer; ``update`` grows with each change."""

    update: int
    time_us: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float


class Trade(NamedTuple):
    """One trade; ``taker_buys`` tells who crossed the spread. ``trade_id`` grows by one."""

    trade_id: int
    time_us: int
    price: float
    size: float
    taker_buys: bool


class DaySummary(NamedTuple):
    """The last 24 hours."""

    open: float
    high: float
    low: float
    volume: float
    vwap: float
    trades: int


class Market(Protocol):
    """Pure in the present that is passed in; a symbol must be one of ``symbols``."""

    @property
    def symbols(self) -> Sequence[str]:
        """Return the markets that are open."""
        ...

    def quote(self, venue: str, symbol: str, now_us: int) -> Quote:
        """Return the book's best prices as of ``now_us``."""
        ...

    def trades(self, venue: str, symbol: str, now_us: int, limit: int) -> Sequence[Trade]:
        """Return the last ``limit`` trades up to ``now_us``, oldest first; at least one."""
        ...

    def day(self, venue: str, symbol: str, now_us: int) -> DaySummary:
        """Return the statistics of the 24 h before ``now_us``."""
        ...

    def describe(self, now_us: int) -> dict[str, object]:
        """Return what people should know of the source at ``now_us``."""
        ...
