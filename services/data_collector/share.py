"""Which symbols this replica collects: pure, the caller gives the time."""

from collections.abc import Collection, Iterable

__all__ = ["Share"]


class Share:
    """The group's word decides; until it has spoken, what is presumed.

    A symbol that is taken away is collected for ``linger_s`` more, so that its new owner has begun
    before the old one ends: a second that two collected is removed by key, one that nobody
    collected is gone.
    """

    def __init__(self, known: Iterable[str], linger_s: float) -> None:
        self._known = frozenset(known)
        self._linger_s = linger_s
        self._until: dict[str, float] = {}
        self.owned: frozenset[str] = frozenset()
        self.presumed = False

    def lingering(self, now: float) -> frozenset[str]:
        """Return what is being handed over at the monotonic time ``now``."""
        return frozenset(symbol for symbol, until in self._until.items() if now < until)

    def at(self, now: float) -> frozenset[str]:
        """Return all that is to be collected at ``now``."""
        return self.owned | self.lingering(now)

    def hand_over(self, now: float) -> None:
        """Let everything linger: we have left the group."""
        self.assign((), now)

    def presume(self, symbols: Iterable[str]) -> frozenset[str]:
        """Collect ``symbols`` too until the group says more; return those that are new."""
        gained = self._known.intersection(symbols) - self.owned
        if gained:
            self.owned |= gained
            self.presumed = True
        return gained

    def assign(self, symbols: Collection[str], now: float) -> frozenset[str]:
        """Take the group's word at ``now``; return the symbols that are new."""
        collected, before = self.at(now), self.owned
        self.owned = self._known.intersection(symbols)
        self.presumed = False
        until = self._until | dict.fromkeys(before, now + self._linger_s)
        self._until = {symbol: until[symbol] for symbol in collected - self.owned}
        return self.owned - collected
