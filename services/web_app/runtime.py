"""What lives in the worker process: store, hub, Kafka reader, ops server; started and stopped."""

import threading
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from common.clock import Clock, SystemClock
from common.errors import SchemaTooNewError
from common.health import Check, Health
from common.lifecycle import Deadline
from common.log import get_logger
from common.ops import OpsServer
from common.store import check_schema, make_engine
from common.store.queries import Series
from web_app import metrics
from web_app.guard import TokenFile
from web_app.live import Hub, KafkaReader
from web_app.scorebook import ScoreBook
from web_app.settings import WebSettings

__all__ = ["Runtime"]

_log = get_logger(__name__)

_READY_POLL_S = 0.05


class Runtime:
    """Built and started in the worker; `drain` and `stop` belong to one graceful end."""

    def __init__(self, settings: WebSettings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.engine: Engine = make_engine(settings.database_url, read_only=True)
        self.hub = Hub(settings.symbols, settings.web_history_s, settings.web_max_streams)
        self.reader = KafkaReader(settings, self.hub, self.clock)
        self.scores = ScoreBook(self.engine, settings.feed, settings.symbols, self.clock)
        self.health = Health(
            live={"kafka_reader": self.reader.alive},
            ready={
                "store": self.store_ready,
                "kafka": self.reader.ready,
                "streams": self._streams_ready,
            },
            status=self._status,
        )
        self._token_file = (
            TokenFile(settings.web_token_file, self.clock) if settings.web_token_file else None
        )
        metrics.max_streams.set(settings.web_max_streams)
        metrics.streams.set_function(lambda: self.hub.streams)
        self._ops: OpsServer | None = None

    def series(self, symbol: str | None = None) -> Series:
        """Return the rows of a symbol, by default the first, of the feed that is shown."""
        return Series(self.settings.feed, symbol or self.settings.symbols[0])

    def token(self) -> str | None:
        """Return what a request must send, None where nothing."""
        if self.settings.web_token is not None:
            return self.settings.web_token
        return self._token_file() if self._token_file else None

    def start(self) -> None:
        """Start the threads; raises `ConfigurationError` when the ops port is taken."""
        self._ops = OpsServer(self.settings.ops_host, self.settings.ops_port, self.health).start()
        self.reader.start()
        self.scores.start()
        _log.info("web application is up", feed=self.settings.feed, ops_port=self._ops.port)

    def wait_until_ready(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Return when Kafka's recent past has been read, or Kafka is known to be away."""
        while not self.reader.ready().ok and not stop.wait(_READY_POLL_S):
            beat()

    def drain(self) -> None:
        """End the streams: their clients go to whoever accepts on the socket."""
        _log.info("stopping: streams are told to reconnect", streams=self.hub.streams)
        self.hub.close()

    def stop(self) -> None:
        """Stop the threads and release the ops port."""
        deadline = Deadline(self.clock, 2.0)
        self.hub.close()
        self.scores.stop(deadline.remaining())
        self.reader.stop(deadline.remaining())
        if self._ops is not None:
            self._ops.stop()
        self.engine.dispose()

    def store_ready(self) -> Check:
        """Return whether the store answers and has the schema that this version reads.

        Whoever is updated first may bring a newer one, and the page goes on meanwhile.
        """
        path = self.engine.url.database
        if self.engine.dialect.name == "sqlite" and path and not Path(path).exists():
            return Check(False, "there is no store yet")
        try:
            current, head = check_schema(self.engine)
        except SchemaTooNewError as error:
            return Check(error.usable, str(error))
        except SQLAlchemyError as error:
            return Check(False, f"the store does not answer: {str(error).partition(chr(10))[0]}")
        if current != head:
            return Check(False, f"schema {current}, this version reads {head}")
        return Check(True, f"schema {current}")

    def _streams_ready(self) -> Check:
        cap = self.settings.web_max_streams
        if self.hub.draining:
            return Check(False, "stopping")
        return Check(True, f"{self.hub.streams} of at most {cap}")

    def _status(self) -> dict[str, object]:
        return {
            "feed": self.settings.feed,
            "symbols": list(self.settings.symbols),
            "streams": self.hub.streams,
            "kafka": self.reader.ready().detail,
        }
