"""What is said of records that Kafka has: the counts, and the lines in the log."""

from collections.abc import Sequence

from common.clock import Clock
from common.errors import InvalidMessageError
from common.log import get_logger
from common.wire import Tick, decode
from data_collector import metrics
from data_collector.spool import Kind
from data_collector.window import Sent, Topics

__all__ = ["SavedLog"]

_LINES_PER_S = 100.0  # beyond, a line stands for many ticks

_log = get_logger(__name__)


class SavedLog:
    """A line for each tick, as long as that is not a flood."""

    def __init__(self, topics: Topics, clock: Clock) -> None:
        self._topics = topics
        self._clock = clock
        self._at = clock.monotonic()
        self._lines = _LINES_PER_S
        self._untold = 0
        self.last_offset: int | None = None

    def tell(self, done: Sequence[Sent]) -> None:
        """Tell of records that were acknowledged together."""
        ticks = [sent for sent in done if sent.record.entry.kind is Kind.TICK]
        metrics.DELIVERED.labels(self._topics.ticks).inc(len(ticks))
        metrics.DELIVERED.labels(self._topics.dead_letters).inc(len(done) - len(ticks))
        if ticks:
            self.last_offset = ticks[-1].future.value.offset
            told = self._choose(ticks)
            self._untold += len(ticks) - len(told)
            for sent in told:
                self._say(sent)

    def _choose(self, ticks: Sequence[Sent]) -> Sequence[Sent]:
        now = self._clock.monotonic()
        self._lines = min(_LINES_PER_S, self._lines + (now - self._at) * _LINES_PER_S)
        self._at = now
        told = ticks if len(ticks) <= self._lines else ticks[-1:] if self._lines >= 1 else ()
        self._lines -= len(told)
        return told

    def _say(self, sent: Sent) -> None:
        count, self._untold = 1 + self._untold, 0
        try:
            tick = decode(sent.record.entry.value, Tick)
        except InvalidMessageError:
            return  # left by a newer version: delivered as it is
        meta = sent.future.value
        more = {"of": count} if count > 1 else {}
        _log.info(
            f"Saved data to kafka://{meta.topic}: "
            f"timestamp={tick.event_time.isoformat()}, close={tick.price}",
            symbol=tick.symbol,
            venue=tick.venue,
            partition=meta.partition,
            offset=meta.offset,
            **more,
        )
