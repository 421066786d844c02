"""The connections to Kafka: one admin client, and a limited number of consumers that are kept."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from kafka import KafkaConsumer
from kafka.admin import KafkaAdminClient
from werkzeug.exceptions import ServiceUnavailable

from common.health import Check
from common.log import get_logger

__all__ = ["KafkaLink", "Readers"]

_INTERVAL_S = 1.0  # between two questions: how soon an outage and its end are seen

_log = get_logger(__name__)


class KafkaLink:
    """Makes the admin client, asks Kafka every second in a thread, and remembers the answer.

    Pages never wait for a broker that is known to be away. The client does its I/O in a thread of
    its own and takes calls from any thread, so that no lock is held while Kafka is asked.
    """

    def __init__(self, connect: Callable[[], KafkaAdminClient], servers: str) -> None:
        self._connect = connect
        self._servers = servers  # for people
        self._client: KafkaAdminClient | None = None
        self._check = Check(ok=False, detail="Kafka was not asked yet")

    def start(self) -> None:
        """Ask once, which takes 2 s at most, then go on for as long as the process lives."""
        # It logs several lines for each attempt to reconnect; we log each outage once.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        self.ask()
        threading.Thread(target=self._run, name="kafka-link", daemon=True).start()

    def check(self) -> Check:
        """Return the last answer without waiting."""
        return self._check

    @property
    def admin(self) -> KafkaAdminClient:
        """Return the client; raises `ServiceUnavailable` while Kafka does not answer."""
        if self._client is None or not self._check.ok:
            raise ServiceUnavailable(self._check.detail)
        return self._client

    def ask(self) -> None:
        """Ask Kafka who it is."""
        try:
            self._client = self._client or self._connect()
            found = self._client.describe_cluster()
            detail = f"cluster {found['cluster_id']}, {len(found['brokers'])} broker(s)"
            check = Check(ok=True, detail=detail)
        except Exception as error:  # noqa: BLE001 - the edge of a thread
            reason = str(error) or repr(error)
            check = Check(False, f"Kafka does not answer at {self._servers}: {reason}")
        if check.ok != self._check.ok:
            _log.info("Kafka answers" if check.ok else "Kafka is away", detail=check.detail)
        self._check = check

    def _run(self) -> None:
        while True:
            time.sleep(_INTERVAL_S)
            self.ask()


class Readers:
    """At most ``size`` consumers; they are in no group, commit nothing and create no topic."""

    def __init__(self, connect: Callable[[], KafkaConsumer], size: int, wait_s: float) -> None:
        self._connect = connect
        self._size = size
        self._wait_s = wait_s
        self._free = threading.BoundedSemaphore(size)
        self._idle: list[KafkaConsumer] = []  # to make one takes longer than to read a page

    @contextmanager
    def borrow(self) -> Iterator[KafkaConsumer]:
        """Lend a consumer; raises `ServiceUnavailable` when all are lent for too long.

        One that saw an error is not lent again.
        """
        if not self._free.acquire(timeout=self._wait_s):
            busy = f"{self._size} are already reading messages; try again in a moment"
            raise ServiceUnavailable(busy)
        try:
            consumer = self._take()
            try:
                yield consumer
            except BaseException:
                consumer.close(autocommit=False, timeout_ms=1000)
                raise
            consumer.unsubscribe()
            self._idle.append(consumer)
        finally:
            self._free.release()

    def _take(self) -> KafkaConsumer:
        with suppress(IndexError):
            return self._idle.pop()
        return self._connect()
