"""Where observations become records: assembled, judged, written to the spool, in that order."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from common.clock import Clock, to_micros
from common.log import get_logger
from common.wire import DeadLetter, Feed, Tick, Venue, encode
from data_collector import metrics
from data_collector.assembly import Flow, Stamp, assemble, flow_between, flow_since
from data_collector.errors import AnswerError
from data_collector.skew import SkewEstimate
from data_collector.spool import Entry, Kind, Spool
from data_collector.validation import Validator
from data_collector.venues import Observation

__all__ = ["Desk"]

_MEMORY = 10_000  # records kept in memory while the disk takes none
_AT_ONCE = 64  # records in one write
_PAYLOAD = 4_000  # characters of a refused answer that are kept

_ticks = lru_cache(maxsize=1024)(metrics.TICKS.labels)
_log = get_logger(__name__)


class Desk:
    """Owns the writing side of the spool; one thread of its own writes, in order.

    `accept` and `reject` only take; `flush` writes all that was taken since, at once.
    """

    def __init__(
        self,
        spool: Spool,
        validator: Validator,
        feed: Feed,
        clock: Clock,
        on_record: Callable[[], None],
    ) -> None:
        self._spool = spool
        self._validator = validator
        self._feed = feed
        self._clock = clock
        self._on_record = on_record
        self._writer = ThreadPoolExecutor(1, "spool")
        self._waiting: deque[Entry] = deque()
        self._taken = self._tried = 0  # records ever taken; of them those that a write has tried
        self._flushing = asyncio.Lock()
        self._last_seen: dict[tuple[Venue, str], Observation] = {}
        self.skews: dict[Venue, SkewEstimate] = {}
        self.last_error = ""
        self.last_ticks: dict[str, Tick] = {}

    def learn(self, past: Iterable[Tick]) -> dict[str, int]:
        """Judge the next ticks by ``past`` ones, in order; return each symbol's newest sequence."""
        newest: dict[str, int] = {}
        for tick in past:
            if tick.feed == self._feed:
                self._validator.resume(tick)
                newest[tick.symbol] = max(tick.sequence, newest.get(tick.symbol, -1))
        return newest

    def accept(self, symbol: str, venue: Venue, seen: Observation, sequence: int) -> None:
        """Take the tick for the next `flush`; raises `AnswerError` where it is refused."""
        now = self._clock.now()
        stamp = Stamp(venue, self._feed, sequence, now)
        # The flow up to a newer tick is told with that one already.
        late = sequence < self._validator.last_sequence(symbol)
        tick = assemble(symbol, seen, stamp, None if late else self._flow(symbol, venue, seen))
        self._note_skew(tick)
        refusal = self._validator.check(tick)
        if refusal:
            raise AnswerError(refusal.reason, refusal.detail, encode(tick))
        _ticks(symbol, venue).inc()
        if late:
            metrics.LATE_TICKS.labels(symbol, venue).inc()
        else:
            self._last_seen[venue, symbol] = seen
            self.last_ticks[symbol] = tick
        self._take(Entry(Kind.TICK, symbol.encode(), encode(tick)))

    def reject(self, symbol: str, venue: Venue, error: AnswerError) -> None:
        """Take a dead letter with the reason for the next `flush`."""
        metrics.DEAD_LETTERS.labels(venue, error.reason).inc()
        _log.warning("refused", symbol=symbol, venue=venue, reason=error.reason, why=error.detail)
        letter = DeadLetter(
            reason=error.reason,
            detail=error.detail[:_PAYLOAD],
            origin=f"data-collector:{venue}",
            received_time=self._clock.now(),
            payload=error.payload[:_PAYLOAD].decode(errors="replace"),
            symbol=symbol,
        )
        self._take(Entry(Kind.DEAD_LETTER, symbol.encode(), encode(letter)))

    async def flush(self) -> None:
        """Return when what was taken is in the spool, or kept in memory as the disk is full."""
        wanted = self._taken
        async with self._flushing:
            if self._waiting and self._tried < wanted:  # else an earlier flush has had them too
                self._tried = self._taken
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._writer, self._write_waiting)
                if self.last_error:
                    self._tried = 0  # the next one tries again

    async def close(self) -> None:
        """Write what waits; what the disk refuses even now is lost, loudly."""
        await self.flush()
        self._writer.shutdown()
        if self._waiting:
            _log.error("records lost: the disk takes none", records=len(self._waiting))

    @property
    def waiting(self) -> int:
        """Return how many records are in memory only."""
        return len(self._waiting)

    @property
    def newest_age_s(self) -> float | None:
        """Return the seconds since the schedule of the newest tick."""
        newest = max((tick.sequence for tick in self.last_ticks.values()), default=None)
        return None if newest is None else (to_micros(self._clock.now()) - newest) / 1e6

    def _take(self, entry: Entry) -> None:
        self._waiting.append(entry)
        self._taken += 1

    def _flow(self, symbol: str, venue: Venue, seen: Observation) -> Flow | None:
        """Return the flow since the last accepted tick of the same venue."""
        before = self._last_seen.get((venue, symbol))
        if seen.totals is not None:
            return flow_between(before.totals if before else None, seen.totals)
        last_id = before.trades[-1].trade_id if before and before.trades else None
        return flow_since(seen.trades, last_id)

    def _note_skew(self, tick: Tick) -> None:
        if tick.event_time_estimated:
            return
        estimate = self.skews.get(tick.venue)
        if estimate is None:
            estimate = self.skews[tick.venue] = SkewEstimate()
            metrics.CLOCK_SKEW.labels(tick.venue).set_function(lambda: estimate.seconds)
            metrics.EVENT_AGE.labels(tick.venue).set_function(lambda: estimate.last_age_s)
        estimate.add(tick.event_time, tick.receive_time)

    def _write_waiting(self) -> None:
        try:
            while count := min(len(self._waiting), _AT_ONCE):
                # By index: others may be added at the end meanwhile.
                batch = [self._waiting[index] for index in range(count)]
                self._spool.append(*batch)
                for _ in batch:
                    self._waiting.popleft()
        except OSError as error:
            if not self.last_error:
                _log.error("the disk takes no records, keeping them in memory", why=error.strerror)
            self.last_error = str(error)
            self._bound_memory()
        else:
            if self.last_error:
                _log.info("the disk takes records again")
            self.last_error = ""
        self._on_record()  # Kafka need not wait for the disk
        self._spool.sync_if_due()

    def _bound_memory(self) -> None:
        dropped = len(self._waiting) - _MEMORY
        if dropped > 0:
            for _ in range(dropped):
                self._waiting.popleft()
            metrics.SPOOL_DROPPED.inc(dropped)
            _log.error("records lost: the disk takes none and memory is full", records=dropped)
