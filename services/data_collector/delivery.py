"""From the spools to Kafka, in order, in a thread of its own."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from kafka.errors import KafkaError

from common.clock import Clock
from common.lifecycle import Deadline
from common.log import get_logger
from data_collector import metrics
from data_collector.rejection import REJECTED, dead_letter
from data_collector.saved import SavedLog
from data_collector.spool import Kind, Spool
from data_collector.window import Sent, Source, Topics, Window

__all__ = ["Delivery", "Topics"]

_SINGLY = 500  # records sent one by one after a rejection: more than a batch holds
_WAIT_S = 0.2
_ACK_S = 0.02  # at most this late an acknowledgement in the middle of the window is seen
_SETTLE_S = 30.0
_SLOW_S = 5.0  # without an acknowledgement: Kafka is away
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0

_log = get_logger(__name__)


class Delivery:
    """Keeps a producer connected, and empties the spools that were added into Kafka.

    A record leaves its spool only after Kafka has acknowledged it and all before it. The producer
    retries by itself and in order (idempotent, no delivery time limit). If it gives up
    nevertheless, a new one starts again from the first record that is not acknowledged, but only
    after the old one has nothing left to send; if it does not come to that, ``on_fatal`` is called.
    A record that the broker rejects for good becomes a dead letter, and those behind it go on.
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
        self._sources: tuple[Source, ...] = ()
        self._changing = threading.Lock()
        self._singly = 0
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._deadline = Deadline(clock, 0)
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)
        self._oldest_sent: float | None = None
        self._away = False
        self.connected = False
        self.last_error = "not yet connected"
        self._saved = SavedLog(topics, clock)
        self.beat_at = clock.monotonic()

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def add(self, spool: Spool, on_empty: Callable[[], None] | None = None) -> None:
        """Deliver what ``spool`` holds and will hold.

        One with ``on_empty`` goes before the others; it is forgotten when it is empty, and
        ``on_empty`` is called from this thread, which closes it.
        """
        source = Source(spool, spool.cursor, on_empty)
        with self._changing:
            self._sources = (source, *self._sources) if on_empty else (*self._sources, source)
        self.wake()

    @property
    def last_offset(self) -> int | None:
        """Return the offset of the newest tick that was acknowledged."""
        return self._saved.last_offset

    @property
    def pending(self) -> int:
        """Return how many records of all spools are not acknowledged."""
        return sum(source.spool.pending for source in self._sources)

    @property
    def size(self) -> int:
        """Return the bytes of all spools on disk."""
        return sum(source.spool.size for source in self._sources)

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
        window = Window(producer, self._topics, self._clock, self.wake)
        delivered = False
        for source in self._sources:
            source.sent = source.spool.cursor
        try:
            for topic in self._topics:  # both now: they cannot be asked for while Kafka is away
                producer.partitions_for(topic)
            self.connected, self.last_error = True, ""
            _log.info("connected to Kafka", topic=self._topics.ticks)
            while not self._finished(window):
                self.beat_at = self._clock.monotonic()
                self._wake.clear()
                self._forget_empty()
                window.singly = self._singly > 0
                if window.would_send(self._sources):
                    window.send(self._sources)
                delivered = self._settle(window) or delivered
                self._note_progress(window)
                if not (window.has_answer or window.would_send(self._sources)):
                    self._wake.wait(_WAIT_S if not window else _ACK_S)
        except Exception as error:  # noqa: BLE001 - whatever a producer dies of, a new one follows
            self._note_failure(error)
        finally:
            self.connected = False
            self._oldest_sent = None
            self._close(producer, window)
        return delivered

    def _close(self, producer: Any, window: Window) -> None:
        """Close; a producer that might still send must not live beside its successor."""
        patience = Deadline(self._clock, _SETTLE_S)
        while not window.is_settled and not self._stop.is_set():
            if patience.remaining() <= 0:
                _log.critical("the Kafka producer does not let go of its records, stopping")
                self._on_fatal()
                return
            self._stop.wait(_WAIT_S)
        # What the old one has delivered nevertheless need not be sent again.
        self._acknowledge(window.take_answered())
        with suppress(KafkaError):
            producer.close(timeout=min(1.0, self._deadline.remaining()) if window else 1.0)

    def _finished(self, window: Window) -> bool:
        if not self._stop.is_set():
            return False
        if not window and self.pending == 0:
            return True
        return self._away or self._deadline.remaining() <= 0  # the spool keeps the rest

    def _settle(self, window: Window) -> bool:
        """Take what is acknowledged off the window; raises `KafkaError` where one failed."""
        done = window.take_answered()
        self._acknowledge(done)
        if window.failed:
            self._give_up(window.failed)
        return bool(done)

    def _acknowledge(self, done: Sequence[Sent]) -> None:
        if not done:
            return
        self._singly = max(0, self._singly - len(done))
        metrics.DELIVERY_LATENCY.observe(self._clock.monotonic() - done[0].at)
        for source in {id(sent.source): sent.source for sent in done}.values():
            source.spool.acknowledge([s.record.end for s in done if s.source is source])
        self._saved.tell(done)

    def _forget_empty(self) -> None:
        for source in self._sources:
            if source.on_empty is not None and not source.spool.pending:
                with self._changing:
                    self._sources = tuple(s for s in self._sources if s is not source)
                source.on_empty()

    def _give_up(self, failed: Sent) -> None:
        """Raise for a new producer, as an idempotent one is of no use after a failure.

        A batch fails as a whole: only a record that was sent alone is known to be the culprit.
        """
        error = failed.future.exception
        if isinstance(error, REJECTED):
            if failed.alone:
                self._set_aside(failed, error)
            self._singly = _SINGLY
        raise error

    def _set_aside(self, failed: Sent, error: KafkaError) -> None:
        """Replace a rejected record by a dead letter; raises `OSError` where the disk is full."""
        entry = failed.record.entry
        _log.error("Kafka rejects a record for good", kind=entry.kind.name, why=str(error))
        metrics.REJECTED.inc()
        if entry.kind is Kind.TICK:
            letter = dead_letter(entry, error, self._clock.now())
            self._sources[-1].spool.append(letter)
        failed.source.spool.acknowledge([failed.record.end])

    def _note_progress(self, window: Window) -> None:
        """Tell once when Kafka goes away, and once when it is back."""
        self._oldest_sent = window.oldest_at
        if self._away == self.reachable:
            self._away = not self.reachable
            if self._away:
                self.last_error = f"no acknowledgement for {_SLOW_S:.0f} s"
                _log.error("Kafka is away, the spool keeps the records")
            else:
                self.last_error = ""
                _log.info("Kafka takes records again")

    def _note_failure(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        metrics.DELIVERY_FAILURES.inc()
        if text != self.last_error:
            _log.error("Kafka takes no records, the spool keeps them", why=text)
        self.last_error = text
