"""Consumers, kept for the next who needs one, and never more than a fixed number."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from kafka import KafkaConsumer

from kafka_monitor.errors import BusyError

__all__ = ["ReaderPool"]


class ReaderPool:
    """At most ``size`` consumers; they are in no group, commit nothing and create no topic."""

    def __init__(self, connect: Callable[[], KafkaConsumer], size: int, wait_s: float) -> None:
        self._connect = connect
        self._size = size
        self._wait_s = wait_s
        self._free = threading.BoundedSemaphore(size)
        self._idle: queue.LifoQueue[KafkaConsumer] = queue.LifoQueue(maxsize=size)

    @contextmanager
    def borrow(self) -> Iterator[KafkaConsumer]:
        """Lend a consumer to one thread.

        Raises `BusyError` when all are lent for too long, `kafka.errors.KafkaError` when a new one
        cannot be made. A consumer that saw an error is not lent again.
        """
        if not self._free.acquire(timeout=self._wait_s):
            raise BusyError(f"{self._size} are already reading messages; try again in a moment")
        try:
            consumer = self._take()
            try:
                yield consumer
            except BaseException:
                consumer.close(autocommit=False, timeout_ms=1000)
                raise
            consumer.unsubscribe()
            self._idle.put_nowait(consumer)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close the idle consumers."""
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close(autocommit=False, timeout_ms=1000)

    def _take(self) -> KafkaConsumer:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._connect()
