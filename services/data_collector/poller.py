"""One poll: ask the venues in their order until each symbol has a valid tick."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from common.clock import Clock
from common.log import get_logger
from common.wire import Venue
from data_collector import metrics
from data_collector.errors import AnswerError, UnsupportedSymbolError, VenueError
from data_collector.exchanges import Exchange, Exchanges
from data_collector.venues import Observation

__all__ = ["Poller", "Times"]

_ROUNDS = 4  # of all venues, within one poll
_FIRST_PAUSE_S = 0.1
_LATE_S = 0.3  # after the new owner of a symbol has asked, so that its full answer comes first
# A later poll was faster: the tick is refused, but no venue is to blame.
_OVERTAKEN = ("duplicate", "out_of_order")

_log = get_logger(__name__)


@dataclass(frozen=True)
class Times:
    """Seconds: for one venue while another can still be asked, and for one round of all."""

    request_s: float
    deadline_s: float
    retry_until_s: float = 0.0  # no new round begins later than this after the schedule


class Question(NamedTuple):
    """What one poll asks of all venues together; ``deadline`` is monotonic."""

    sequence: int
    deadline: float
    lean: bool


# Takes (symbol, venue, observation, sequence); raises `AnswerError` where it is refused.
Accept = Callable[[str, Venue, Observation, int], None]
# Takes (symbol, venue, error): an answer that goes to the dead-letter topic.
Reject = Callable[[str, Venue, AnswerError], None]
# Returns when what was accepted and rejected before is safe.
Flush = Callable[[], Awaitable[None]]


class Poller:
    """Fails over from venue to venue within one poll, and returns to the preferred one.

    ``symbols`` tells which are ours now, ``lingering`` which others are being handed over: those
    are asked for later in the second and with the fewest requests, as a safety net that neither
    takes precedence over the new owner's ticks nor uses up the venue's limit.
    """

    def __init__(
        self,
        exchanges: Sequence[Exchange],
        symbols: Callable[[], Collection[str]],
        lingering: Callable[[], Collection[str]],
        times: Times,
        clock: Clock,
        accept: Accept,
        reject: Reject,
        flush: Flush,
    ) -> None:
        self._exchanges = Exchanges(exchanges, times.request_s, clock)
        self._symbols = symbols
        self._lingering = lingering
        self._times = times
        self._clock = clock
        self._accept = accept
        self._reject = reject
        self._flush = flush
        self._rng = random.Random()  # noqa: S311 - jitter
        self._used: dict[str, str] = {}
        self._begun: dict[str, int] = {}

    @property
    def answered_at(self) -> float | None:
        """Return the monotonic time of the newest good answer of any venue."""
        return self._exchanges.answered_at

    def note(self, collected: Mapping[str, int]) -> None:
        """Learn which sequence of each symbol was collected before, here or elsewhere."""
        for symbol, sequence in collected.items():
            self._begun[symbol] = max(sequence, self._begun.get(symbol, -1))

    async def poll(self, sequence: int) -> None:
        """Collect one tick for each symbol of ours that has none yet for ``sequence``.

        What no venue gave is counted as missed.
        """
        late = frozenset(self._lingering())
        if late:  # by then some may be ours again

            def still() -> Collection[str]:
                return late.intersection((*self._symbols(), *self._lingering()))

            await asyncio.gather(
                self._collect(self._symbols, sequence, lean=False),
                self._collect(still, sequence, lean=True, after_s=_LATE_S),
            )
        else:
            await self._collect(self._symbols, sequence, lean=False)

    async def catch_up(self, sequence: int) -> None:
        """Collect with the fewest requests what has just become ours: others may have done so."""
        await self._collect(self._symbols, sequence, lean=True)

    async def _collect(
        self,
        symbols: Callable[[], Collection[str]],
        sequence: int,
        *,
        lean: bool,
        after_s: float = 0.0,
    ) -> None:
        if after_s:
            await asyncio.sleep(after_s)
        missing = {s for s in symbols() if self._begun.get(s, -1) < sequence}
        if not missing:
            return
        self.note(dict.fromkeys(missing, sequence))
        started = self._clock.monotonic()
        question = Question(sequence, started + self._times.deadline_s, lean)
        ends = started + self._times.retry_until_s
        for pause in self._pauses():
            missing -= await self._ask_in_order(missing, question)
            if not missing or self._clock.monotonic() + pause >= ends:
                break
            await asyncio.sleep(pause)
        if missing:
            metrics.MISSED_POLLS.labels("no_answer").inc(len(missing))
            _log.warning(
                "no exchange gave a valid tick", sequence=sequence, symbols=sorted(missing)
            )

    def _pauses(self) -> Iterator[float]:
        """Yield the pauses between rounds: 0.1, 0.2, ... s, each with jitter."""
        for round_ in range(_ROUNDS):
            yield _FIRST_PAUSE_S * 2**round_ * self._rng.uniform(0.5, 1.0)

    async def _ask_in_order(self, symbols: Collection[str], question: Question) -> set[str]:
        """Ask one venue after the other; return the symbols that have their tick."""
        missing = set(symbols)
        candidates = self._exchanges.candidates(self._symbols())
        for position, exchange in enumerate(candidates):
            now = self._clock.monotonic()
            asked = sorted(s for s in missing if exchange.supports(s, now))
            left = question.deadline - now
            if asked and left > 0:
                last = position == len(candidates) - 1
                limit = left if last else min(left, self._times.request_s)
                missing -= await self._ask(exchange, asked, question, limit)
        return set(symbols) - missing

    async def close(self) -> None:
        """End what is under way beside the polls."""
        await self._exchanges.close()

    async def _ask(
        self, exchange: Exchange, symbols: Sequence[str], question: Question, limit_s: float
    ) -> set[str]:
        """Return the symbols for which ``exchange`` gave a tick that was accepted."""
        venue = exchange.name
        if exchange.breaker.state == "open":
            exchange.breaker.begin_probe()
        outcomes = await exchange.client.observe(symbols, limit_s, lean=question.lean)
        accepted: set[str] = set()
        errors: list[VenueError] = []
        for symbol in symbols:
            outcome = outcomes[symbol]
            try:
                if isinstance(outcome, VenueError):
                    raise outcome
                self._accept(symbol, venue, outcome, question.sequence)
                accepted.add(symbol)
                exchange.has(symbol)
                self._note_source(symbol, venue)
            except AnswerError as error:
                self._reject(symbol, venue, error)
                if error.reason in _OVERTAKEN:
                    accepted.add(symbol)  # nobody need be asked for it any more
                else:
                    errors.append(error)
            except UnsupportedSymbolError as error:
                if exchange.lacks(symbol, self._clock.monotonic()):
                    _log.error(
                        "exchange has no such market", venue=venue, symbol=symbol, said=error
                    )
            except VenueError as error:
                errors.append(error)
        await self._flush()
        exchange.judge(errors, len(accepted), self._clock.monotonic())
        return accepted

    def _note_source(self, symbol: str, venue: Venue) -> None:
        before = self._used.get(symbol)
        if before != venue:
            preferred = venue == self._exchanges.preferred.name
            _log.info(
                "collecting from", symbol=symbol, venue=venue, before=before, preferred=preferred
            )
            if before is not None:
                metrics.SOURCE_SWITCHES.labels(symbol, venue).inc()
            self._used[symbol] = venue

    def describe(self) -> dict[str, object]:
        """Return for people which venue serves each symbol, and each venue's state."""
        return {"sources": dict(self._used), "exchanges": self._exchanges.describe()}
