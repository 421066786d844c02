"""One worker with a thread for each live tail and some for pages."""

import os
from functools import partial
from typing import Annotated, Any

from gunicorn.workers.gthread import ThreadWorker
from kafka.admin import KafkaAdminClient
from pydantic import Field, field_validator

from common.clock import SystemClock
from common.health import Health
from common.kafka import make_consumer
from common.lifecycle import STOP_BUDGET_S
from common.log import configure_logging, get_logger
from common.ops import OpsServer
from common.serving import ThreadedServer, require_address
from common.settings import CommaSeparated, Port, ServingSettings, load_settings, split_commas
from kafka_monitor.application import Monitor, create_app
from kafka_monitor.clients import KafkaLink, Readers

__all__ = ["MonitorSettings", "main"]

_PAGE_THREADS = 16
_READERS = 4  # pages of messages that are read at once
_READER_WAIT_S = 5.0
_KAFKA = {
    "request_timeout_ms": 3_000,
    "bootstrap_timeout_ms": 2_000,
    "reconnect_backoff_max_ms": 1_000,
}


class MonitorSettings(ServingSettings):
    """What the Kafka monitor is told besides what every service is."""

    service_name: str = "kafka-ui"
    web_port: Port = 8080
    web_allowed_hosts: CommaSeparated = ("localhost", "127.0.0.1")  # against DNS rebinding
    web_max_tails: Annotated[int, Field(ge=1, le=100)] = 16

    _split_hosts = field_validator("web_allowed_hosts", mode="before")(split_commas)

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value or ("",):
            host, _, port = address.rpartition(":")
            if not (host and port.isdigit() and 0 < int(port) < 65536):
                raise ValueError(f"{address!r} is no address; type host:port, e.g. 127.0.0.1:9092")
        return value


def main() -> int:
    """Serve until SIGTERM; raises `ConfigurationError` before anything starts."""
    settings = load_settings(MonitorSettings)
    configure_logging(settings.service_name, settings.log_level)
    require_address(settings)
    health = Health()
    _Server(settings, health, OpsServer(settings.ops_host, settings.ops_port, health)).run()
    return 0


def _make_monitor(settings: MonitorSettings) -> Monitor:
    servers, name = settings.kafka_bootstrap_servers, settings.service_name
    ask = partial(KafkaAdminClient, bootstrap_servers=list(servers), client_id=name, **_KAFKA)
    bounded = {"allow_auto_create_topics": False, "fetch_max_bytes": 8_000_000, **_KAFKA}
    read = partial(make_consumer, servers, name, group_id=None, **bounded)
    return Monitor(
        link=KafkaLink(ask, ", ".join(servers)),
        # A page asks only for what is there, and each window waits for the request before it.
        readers=Readers(partial(read, fetch_max_wait_ms=10), _READERS, _READER_WAIT_S),
        tails=Readers(read, settings.web_max_tails, 0.0),
        clock=SystemClock(),
    )


class _Server(ThreadedServer):
    """Clients and threads are made in the worker, after the fork."""

    def __init__(self, settings: MonitorSettings, health: Health, ops: OpsServer) -> None:
        self._settings, self._health, self._ops = settings, health, ops
        threads = settings.web_max_tails + _PAGE_THREADS
        super().__init__(
            settings,
            threads,
            worker_class=_Worker,
            worker_connections=8 * threads,
            graceful_timeout=int(STOP_BUDGET_S) - 2,
        )

    def load(self) -> Any:
        """Return the application; called by gunicorn in the worker."""
        monitor = _make_monitor(self._settings)
        monitor.link.start()
        self._health.ready["kafka"] = monitor.link.check
        app = create_app(monitor, self._health, self._settings.web_allowed_hosts)
        app.extensions |= {"monitor": monitor, "ops": self._ops}
        return app


class _Worker(ThreadWorker):  # type: ignore[misc]
    """Answers for its health while it runs, and ends the live tails when the stop begins."""

    def run(self) -> None:
        # A worker whose master was killed stops by itself, too.
        stopping = lambda: not self.alive or os.getppid() != self.ppid  # noqa: E731
        self.wsgi.extensions["monitor"].stopping = stopping
        with self.wsgi.extensions["ops"]:
            super().run()
        get_logger(__name__).info("stopped")
