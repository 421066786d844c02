"""A thread that asks Kafka every other second: reachable, which partitions, where they end."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from common.clock import Clock
from common.health import Check
from common.log import get_logger

__all__ = ["BrokerWatch"]

_INTERVAL_S = 2.0
_UNSEEN_INTERVAL_S = 0.2  # until the first answer: the first prediction waits for it
_TIMEOUT_MS = 3_000
_STALE_S = 8.0

_log = get_logger(__name__)


class BrokerWatch:
    """Owns a client of its own, since a consumer belongs to one thread and may block."""

    def __init__(self, connect: Callable[[], KafkaConsumer], topic: str, clock: Clock) -> None:
        self._connect = connect
        self._topic = topic
        self._clock = clock
        self._stop = threading.Event()
        self._answered = -_STALE_S
        self._error = "no answer yet"
        self._ends: Mapping[int, int] = {}
        self._thread = threading.Thread(target=self._run, name="broker-watch", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; the thread ends by itself."""
        self._stop.set()

    @property
    def end_offsets(self) -> Mapping[int, int]:
        """Return the end offset of each partition; empty while the topic is unknown."""
        return self._ends

    def lag(self, positions: Mapping[int, int]) -> int:
        """Return the messages between ``positions`` and the ends."""
        return sum(max(0, end - positions.get(index, 0)) for index, end in self._ends.items())

    def check(self) -> Check:
        """Return whether Kafka answered of late and has the topic."""
        silent_s = self._clock.monotonic() - self._answered
        if silent_s > _STALE_S:
            return Check(ok=False, detail=f"Kafka does not answer: {self._error}")
        if not self._ends:
            return Check(ok=False, detail=f"topic {self._topic} does not exist")
        return Check(ok=True, detail=f"{len(self._ends)} partition(s) of {self._topic}")

    def _run(self) -> None:
        client: KafkaConsumer | None = None
        while not self._stop.is_set():
            try:
                client = client or self._connect()
                self._ask(client)
            except Exception as error:  # noqa: BLE001 - the edge of a thread
                self._error = f"{type(error).__name__}: {error}"
                _log.debug("broker watch failed", error=self._error)
                _close(client)
                client = None
            self._stop.wait(_INTERVAL_S if self._ends else _UNSEEN_INTERVAL_S)
        _close(client)

    def _ask(self, client: KafkaConsumer) -> None:
        partitions = [
            TopicPartition(self._topic, index) for index in client.partitions_for_topic(self._topic)
        ]
        if partitions:
            ends = client.end_offsets(partitions, timeout_ms=_TIMEOUT_MS)
            self._ends = {partition.partition: end for partition, end in ends.items()}
        self._answered = self._clock.monotonic()


def _close(client: KafkaConsumer | None) -> None:
    if client is not None:
        with suppress(KafkaError, OSError):
            client.close(timeout_ms=1_000)
