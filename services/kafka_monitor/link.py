"""The one admin client of the process, and whether Kafka answers it."""

import logging
import threading
from collections.abc import Callable

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from common.health import Check
from common.log import get_logger
from kafka_monitor.errors import KafkaAwayError

__all__ = ["KafkaLink"]

_INTERVAL_S = 1.0  # between two questions: how soon an outage and its end are seen

_log = get_logger(__name__)


class KafkaLink:
    """A thread that makes the client, asks Kafka every second, and remembers the answer.

    Pages never wait for a broker that is known to be away. The client does its I/O in a thread of
    its own and takes calls from any thread, so that no lock is held while Kafka is asked.
    """

    def __init__(self, connect: Callable[[], KafkaAdminClient], servers: str) -> None:
        self._connect = connect
        self._servers = servers  # for people
        self._client: KafkaAdminClient | None = None
        self._check = Check(ok=False, detail="Kafka was not asked yet")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-link", daemon=True)

    def start(self) -> None:
        """Ask once, which takes 2 s at most, then go on in the background."""
        # It logs several lines for each attempt to reconnect; we log each outage once.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        self._ask()
        self._thread.start()

    def stop(self) -> None:
        """Ask no more and close the client."""
        self._stop.set()
        self._thread.join(timeout=2)
        if self._client is not None:
            self._client.close()

    def check(self) -> Check:
        """Return the last answer without waiting."""
        return self._check

    @property
    def admin(self) -> KafkaAdminClient:
        """Return the client; raises `KafkaAwayError` while Kafka does not answer."""
        if self._client is None or not self._check.ok:
            raise KafkaAwayError(self._check.detail)
        return self._client

    def _run(self) -> None:
        while not self._stop.wait(_INTERVAL_S):
            self._ask()

    def _ask(self) -> None:
        try:
            self._client = self._client or self._connect()
            found = self._client.describe_cluster()
        except (KafkaError, OSError) as error:
            self._note_away(str(error))
        except Exception as error:  # noqa: BLE001 - the edge of a thread
            self._note_away(repr(error))
        else:
            detail = f"cluster {found['cluster_id']}, {len(found['brokers'])} broker(s)"
            self._note(Check(ok=True, detail=detail))

    def _note_away(self, reason: str) -> None:
        detail = f"Kafka does not answer at {self._servers}: {reason}"
        self._note(Check(ok=False, detail=detail))

    def _note(self, check: Check) -> None:
        if check.ok != self._check.ok:
            _log.info("Kafka answers" if check.ok else "Kafka is away", detail=check.detail)
        self._check = check
