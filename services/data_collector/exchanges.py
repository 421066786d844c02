"""The venues in their order: which may be asked now, and what is known of each."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from common.clock import Clock
from common.wire import Venue
from data_collector.breaker import Breaker
from data_collector.errors import BackOffError, RefusedForGoodError, RetryError, VenueError
from data_collector.rest import Outcome

__all__ = ["Exchange", "Exchanges", "VenueClient"]

_ASK_AGAIN_S = 30.0


class VenueClient(Protocol):
    """A venue over REST or a stream."""

    name: Venue

    async def observe(
        self, symbols: Sequence[str], timeout_s: float, *, lean: bool = False
    ) -> Mapping[str, Outcome]:
        """Return for each of ``symbols`` what the venue says, or why it says nothing.

        ``lean``: ask for no more than is needed, as others may ask at the same time.
        """
        ...

    async def warm(self, timeout_s: float) -> None:
        """Open a connection; raises `VenueError`."""
        ...


@dataclass
class Exchange:
    """A venue with its breaker and what is known of it."""

    client: VenueClient
    breaker: Breaker
    answered_at: float | None = None  # monotonic
    _asked_again_at: dict[str, float] = field(default_factory=dict)  # monotonic, by symbol

    @property
    def name(self) -> Venue:
        """Return the venue's name."""
        return self.client.name

    def supports(self, symbol: str, now: float) -> bool:
        """Return whether to ask for a symbol, at the monotonic time ``now``."""
        return self._asked_again_at.get(symbol, now) <= now

    def lacks(self, symbol: str, now: float) -> bool:
        """Do not ask for a symbol for a while; return whether that is news.

        For a while only: a proxy, or a venue that starts, says 404 too.
        """
        news = symbol not in self._asked_again_at
        self._asked_again_at[symbol] = now + _ASK_AGAIN_S
        return news

    def has(self, symbol: str) -> None:
        """Note that the venue gave a tick of a symbol."""
        self._asked_again_at.pop(symbol, None)

    @property
    def unsupported(self) -> list[str]:
        """Return the symbols that the venue said it has not."""
        return sorted(self._asked_again_at)

    def judge(self, errors: Sequence[VenueError], good: int, now: float) -> None:
        """Blame the venue where nothing was good, or where it asks to be left alone."""
        grave = [e for e in errors if isinstance(e, BackOffError | RefusedForGoodError)]
        if grave or (errors and not good):
            self.breaker.failed((grave or errors)[0])
        else:
            self.answered_at = now
            self.breaker.succeeded()


class Exchanges:
    """``probe_s`` bounds the questions by which a venue that was left alone shows itself."""

    def __init__(self, exchanges: Sequence[Exchange], probe_s: float, clock: Clock) -> None:
        self._exchanges = tuple(exchanges)
        self._probe_s = probe_s
        self._clock = clock
        self._probes: set[asyncio.Task[None]] = set()

    @property
    def preferred(self) -> Exchange:
        """Return the first."""
        return self._exchanges[0]

    @property
    def answered_at(self) -> float | None:
        """Return the monotonic time of the newest good answer of any venue."""
        return max((e.answered_at for e in self._exchanges if e.answered_at), default=None)

    def candidates(self, symbols: Collection[str]) -> list[Exchange]:
        """Return whom to ask, in order; let others that are due be probed for ``symbols``."""
        closed = [e for e in self._exchanges if e.breaker.state == "closed"]
        due = [e for e in self._exchanges if e.breaker.probe_is_due]
        for exchange in due if closed else ():
            exchange.breaker.begin_probe()
            probe = asyncio.create_task(self._probe(exchange, symbols))
            self._probes.add(probe)
            probe.add_done_callback(self._probes.discard)
        return closed or due

    async def close(self) -> None:
        """End the probes that are under way."""
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)

    def describe(self) -> dict[str, object]:
        """Return each venue's state, for people."""
        now = self._clock.monotonic()
        return {
            e.name: {
                **e.breaker.describe(),
                "unsupported": e.unsupported,
                "answered_s_ago": None if e.answered_at is None else now - e.answered_at,
            }
            for e in self._exchanges
        }

    async def _probe(self, exchange: Exchange, symbols: Collection[str]) -> None:
        """Ask as a poll would, and judge the venue by it; the answers are not used."""
        now = self._clock.monotonic()
        asked = [s for s in symbols if exchange.supports(s, now)]
        outcomes: Mapping[str, Outcome] = {"": RetryError("probe failed")}
        try:
            outcomes = await exchange.client.observe(asked, self._probe_s)
        finally:
            errors = [each for each in outcomes.values() if isinstance(each, VenueError)]
            exchange.judge(errors, len(outcomes) - len(errors), self._clock.monotonic())
