"""What has happened in one market since a client was last told."""

from collections.abc import Sequence

from exchange_simulator.inquiry import Inquiry
from exchange_simulator.market import Quote, Trade

__all__ = ["News"]

_MOST_TRADES = 2_000  # in one step; more than any speed that a client can follow


class News:
    """Remembers how far a client is."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._last_trade_id = -1
        self._update = -1

    @property
    def started(self) -> bool:
        """Return whether `trades` has been asked before."""
        return self._last_trade_id >= 0

    def trades(self, inquiry: Inquiry) -> Sequence[Trade]:
        """Return the trades since the last call, oldest first; none at the first call."""
        if not self.started:
            last = inquiry.trades(self.symbol, 1)
            self._last_trade_id = last[-1].trade_id if last else 0
            return ()
        limit = 16
        while True:
            found = inquiry.trades(self.symbol, limit)
            is_enough = len(found) < limit or found[0].trade_id <= self._last_trade_id
            if is_enough or limit >= _MOST_TRADES:
                break
            limit *= 4
        new = [trade for trade in found if trade.trade_id > self._last_trade_id]
        if new:
            self._last_trade_id = new[-1].trade_id
        return new

    def quote(self, inquiry: Inquiry) -> Quote | None:
        """Return the quote if it has changed since the last call."""
        quote = inquiry.quote(self.symbol)
        if quote.update == self._update:
            return None
        self._update = quote.update
        return quote
