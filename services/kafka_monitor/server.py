"""gunicorn, run from Python: one worker with a thread for each live tail and some for pages."""

import os
import socket
from functools import partial
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker
from kafka.admin import KafkaAdminClient

from common.clock import SystemClock
from common.errors import ConfigurationError
from common.health import Health
from common.kafka import make_consumer
from common.lifecycle import STOP_BUDGET_S
from common.log import configure_logging, get_logger
from common.ops import OpsServer
from common.settings import load_settings
from kafka_monitor.application import create_app
from kafka_monitor.link import KafkaLink
from kafka_monitor.readers import ReaderPool
from kafka_monitor.settings import MonitorSettings
from kafka_monitor.views import Views

__all__ = ["main"]

_PAGE_THREADS = 16
_READERS = 4  # pages of messages that are read at once
_READER_WAIT_S = 5.0
_WORKER_SILENCE_S = 60
_KAFKA = {
    "request_timeout_ms": 3_000,
    "bootstrap_timeout_ms": 2_000,
    "reconnect_backoff_max_ms": 1_000,
}

_log = get_logger(__name__)


def main() -> int:
    """Serve until SIGTERM; raises `ConfigurationError` before anything starts."""
    settings = load_settings(MonitorSettings)
    configure_logging(settings.service_name, settings.log_level)
    listener = _listener(settings)
    health = Health()
    ops = OpsServer(settings.ops_host, settings.ops_port, health)
    host, port = listener.getsockname()[:2]
    _log.info("serving", address=f"http://{host}:{port}", ops_port=ops.port)
    _Server(settings, listener.fileno(), health, ops).run()
    return 0


def _listener(settings: MonitorSettings) -> socket.socket:
    """Return the inherited socket, or a new one at WEB_HOST:WEB_PORT."""
    if settings.listen_fd is None:
        try:
            return socket.create_server((settings.web_host, settings.web_port), backlog=256)
        except OSError as error:
            raise ConfigurationError(
                f"WEB_PORT {settings.web_port}: cannot listen on {settings.web_host}: "
                f"{error.strerror}; choose another"
            ) from error
    try:
        inherited = socket.socket(fileno=os.dup(settings.listen_fd))
        listening = inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigurationError(f"LISTEN_FD {settings.listen_fd}: {error.strerror}") from error
    if not listening:
        inherited.close()
        raise ConfigurationError(f"LISTEN_FD {settings.listen_fd}: the socket does not listen")
    return inherited


def _make_views(settings: MonitorSettings) -> Views:
    servers, name = settings.kafka_bootstrap_servers, settings.service_name
    connect = partial(KafkaAdminClient, bootstrap_servers=list(servers), client_id=name, **_KAFKA)
    read = partial(
        make_consumer,
        servers,
        name,
        group_id=None,
        allow_auto_create_topics=False,
        fetch_max_bytes=8_000_000,
        **_KAFKA,
    )
    return Views(
        link=KafkaLink(connect, ", ".join(servers)),
        # A page asks only for what is there, and each window waits for the request before it.
        readers=ReaderPool(partial(read, fetch_max_wait_ms=10), _READERS, _READER_WAIT_S),
        tails=ReaderPool(read, settings.web_max_tails, 0.0),
        clock=SystemClock(),
    )


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's master; clients and threads are made in the worker, after the fork."""

    def __init__(
        self, settings: MonitorSettings, descriptor: int, health: Health, ops: OpsServer
    ) -> None:
        self._settings = settings
        self._descriptor = descriptor
        self._health = health
        self._ops = ops
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options; called by gunicorn."""
        threads = self._settings.web_max_tails + _PAGE_THREADS
        options: dict[str, Any] = {
            "bind": [f"fd://{self._descriptor}"],
            "workers": 1,
            "worker_class": _Worker,
            "threads": threads,
            "worker_connections": 8 * threads,
            "graceful_timeout": int(STOP_BUDGET_S) - 2,
            "timeout": _WORKER_SILENCE_S,
            "logger_class": _Logger,
            "loglevel": "warning",
            "proc_name": self._settings.service_name,
            "control_socket_disable": True,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application; called by gunicorn in the worker."""
        views = _make_views(self._settings)
        views.link.start()
        self._health.ready["kafka"] = views.link.check
        app = create_app(views, self._health, self._settings.web_allowed_hosts)
        app.extensions |= {"views": views, "ops": self._ops}
        return app


class _Worker(ThreadWorker):  # type: ignore[misc]
    """Answers for its health while it runs, and ends the live tails when the stop begins."""

    def run(self) -> None:
        views: Views = self.wsgi.extensions["views"]
        ops: OpsServer = self.wsgi.extensions["ops"]
        # A worker whose master was killed stops by itself, too.
        views.stopping = lambda: not self.alive or os.getppid() != self.ppid
        with ops:
            super().run()
        views.readers.close()
        views.tails.close()
        views.link.stop()
        _log.info("stopped")


class _Logger(Logger):  # type: ignore[misc]
    """gunicorn's messages through the process's own handlers; no access log."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
