"""From the spool to Kafka, in order, in a thread of its own."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from kafka.errors import KafkaError

from common.clock import Clock
from common.errors import InvalidMessageError
from common.lifecycle import Deadline
from common.log import get_logger
from common.wire import Tick, decode
from data_collector import metrics
from data_collector.spool import Kind, Record, Spool

__all__ = ["Delivery", "Topics"]

_WINDOW = 2_000  # records sent and not yet acknowledged
_WAIT_S = 0.2
_ACK_S = 0.02  # at most this late an acknowledgement in the middle of the window is seen
_SETTLE_S = 30.0
_SLOW_S = 5.0  # without an acknowledgement: Kafka is away
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_LINES = 20  # log lines for each group of acknowledgements; beyond, one for all

_log = get_logger(__name__)


class Topics(NamedTuple):
    """Where each kind of record goes."""

    ticks: str
    dead_letters: str

    def of(self, kind: Kind) -> str:
        """Return the topic of ``kind``."""
        return self.ticks if kind is Kind.TICK else self.dead_letters


class _Sent(NamedTuple):
    record: Record
    future: Any  # kafka's FutureRecordMetadata, which has no types
    at: float


class Delivery:
    """Keeps a producer connected; once `begin` was called, empties the spool into Kafka.

    A record leaves the spool only after Kafka has acknowledged it and all before it. The producer
    retries by itself and in order (idempotent, no delivery time limit). If it gives up
    nevertheless, a new one starts again from the first record that is not acknowledged, but only
    after the old one has nothing left to send; if it does not come to that, ``on_fatal`` is called.
    """

    def __init__(
        self,
        make_producer: Callable[[], Any],
        topics: Topics,
        clock: Clock,
        on_fatal: Callable[[], None],
    ) -> None:
        self._make_producer = make_producer
        self._on_fatal = on_fatal
        self._topics = topics
        self._clock = clock
        self._spool: Spool | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._deadline = Deadline(clock, 0)
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)
        self._oldest_sent: float | None = None
        self._away = False
        self.connected = False
        self.last_error = "not yet connected"
        self.last_offset: int | None = None
        self.beat_at = clock.monotonic()

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def begin(self, spool: Spool) -> None:
        """Begin to deliver what ``spool`` holds and will hold."""
        self._spool = spool
        self.wake()

    def wake(self) -> None:
        """Look into the spool now; from any thread."""
        self._wake.set()

    @property
    def reachable(self) -> bool:
        """Return whether Kafka answers, as far as is known."""
        oldest = self._oldest_sent
        waiting = oldest is not None and self._clock.monotonic() - oldest > _SLOW_S
        return self.connected and not waiting

    def stop(self, deadline: Deadline) -> None:
        """Deliver what can be delivered within ``deadline``, then end; the spool keeps the rest."""
        self._deadline = deadline
        self._stop.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(deadline.remaining() + 1.0)

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stop.is_set():
            try:
                producer = self._make_producer()
                pause = _FIRST_PAUSE_S if self._deliver(producer) else pause
            except Exception as error:  # noqa: BLE001 - the thread's edge
                self._note_failure(error)
            self.beat_at = self._clock.monotonic()
            self._stop.wait(pause)
            pause = min(_LONGEST_PAUSE_S, pause * 2)

    def _deliver(self, producer: Any) -> bool:
        """Deliver until the stop or a failure; return whether anything was acknowledged."""
        window: deque[_Sent] = deque()
        delivered = False
        try:
            producer.partitions_for(self._topics.ticks)
            self.connected, self.last_error = True, ""
            _log.info("connected to Kafka", topic=self._topics.ticks)
            while not self._finished(window):
                self.beat_at = self._clock.monotonic()
                self._wake.clear()
                self._send_more(producer, window)
                delivered = self._settle(window) or delivered
                self._note_progress(window)
                if not self._can_go_on(window):
                    self._wake.wait(_WAIT_S if not window else _ACK_S)
        except Exception as error:  # noqa: BLE001 - whatever a producer dies of, a new one follows
            self._note_failure(error)
        finally:
            self.connected = False
            self._oldest_sent = None
            self._close(producer, window)
        return delivered

    def _close(self, producer: Any, window: deque[_Sent]) -> None:
        """Close; a producer that might still send must not live beside its successor."""
        patience = Deadline(self._clock, _SETTLE_S)
        while any(not sent.future.is_done for sent in window) and not self._stop.is_set():
            if patience.remaining() <= 0:
                _log.critical("the Kafka producer does not let go of its records, stopping")
                self._on_fatal()
                return
            self._stop.wait(_WAIT_S)
        with suppress(KafkaError):
            producer.close(timeout=min(1.0, self._deadline.remaining()) if window else 1.0)

    def _finished(self, window: deque[_Sent]) -> bool:
        if not self._stop.is_set():
            return False
        left = len(window) + (self._spool.pending if self._spool else 0)
        return left == 0 or self._deadline.remaining() <= 0

    def _can_go_on(self, window: deque[_Sent]) -> bool:
        """Return whether there is work that needs no waiting."""
        if window and window[0].future.is_done:
            return True
        return bool(self._spool and len(window) < _WINDOW and self._next(window, 1))

    def _next(self, window: deque[_Sent], limit: int) -> Sequence[Record]:
        assert self._spool is not None
        position = window[-1].record.end if window else self._spool.cursor
        return self._spool.read(position, limit)

    def _send_more(self, producer: Any, window: deque[_Sent]) -> None:
        if self._spool is None or len(window) >= _WINDOW:
            return
        for record in self._next(window, _WINDOW - len(window)):
            kind, key, value = record.entry
            future = producer.send(self._topics.of(kind), key=key, value=value)
            window.append(_Sent(record, future, self._clock.monotonic()))
        if window:
            window[-1].future.add_both(self._on_answer)

    def _on_answer(self, _result: object) -> None:
        self._wake.set()

    def _settle(self, window: deque[_Sent]) -> bool:
        """Take what is acknowledged off the window; raises `KafkaError` where one failed."""
        done: list[tuple[Record, Any]] = []
        failure: KafkaError | None = None
        while window and window[0].future.is_done and failure is None:
            sent = window.popleft()
            if sent.future.succeeded():
                done.append((sent.record, sent.future.value))
                metrics.DELIVERY_LATENCY.observe(self._clock.monotonic() - sent.at)
            else:
                failure = sent.future.exception
        if done and self._spool is not None:
            self._spool.acknowledge(done[-1][0].end, len(done))
            self._report(done)
        if failure is not None:
            raise failure
        return bool(done)

    def _note_progress(self, window: deque[_Sent]) -> None:
        """Tell once when Kafka goes away, and once when it is back."""
        self._oldest_sent = window[0].at if window else None
        if self._away == self.reachable:
            self._away = not self.reachable
            if self._away:
                self.last_error = f"no acknowledgement for {_SLOW_S:.0f} s"
                _log.error("Kafka is away, the spool keeps the records")
            else:
                self.last_error = ""
                _log.info("Kafka takes records again")

    def _report(self, done: Sequence[tuple[Record, Any]]) -> None:
        for record, _ in done:
            metrics.DELIVERED.labels(self._topics.of(record.entry.kind)).inc()
        ticks = [(r, meta) for r, meta in done if r.entry.kind is Kind.TICK]
        for record, meta in ticks if len(ticks) <= _LINES else ticks[-1:]:
            self.last_offset = meta.offset
            self._log_saved(record, meta, len(ticks))

    def _log_saved(self, record: Record, meta: Any, count: int) -> None:
        try:
            tick = decode(record.entry.value, Tick)
        except InvalidMessageError:
            return  # left by a newer version: delivered as it is
        more = {"of": count} if count > _LINES else {}
        _log.info(
            f"Saved data to kafka://{meta.topic}: "
            f"timestamp={tick.event_time.isoformat()}, close={tick.price}",
            symbol=tick.symbol,
            venue=tick.venue,
            partition=meta.partition,
            offset=meta.offset,
            **more,
        )

    def _note_failure(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        metrics.DELIVERY_FAILURES.inc()
        if text != self.last_error:
            _log.error("Kafka takes no records, the spool keeps them", why=text)
        self.last_error = text
