"""The operations endpoint of a service: liveness, readiness, status and Prometheus metrics."""

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import msgspec
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from common.errors import ConfigurationError
from common.health import Health

__all__ = ["OpsServer"]

_JSON = "application/json"


class OpsServer:
    """Serves ``health`` in a thread of its own between ``start`` and ``stop``.

    Routes: ``/health/live`` and ``/health/ready`` (200 or 503), ``/status``, ``/metrics``.
    Raises `ConfigurationError` at construction when the address cannot be had.
    """

    def __init__(
        self, host: str, port: int, health: Health, registry: CollectorRegistry = REGISTRY
    ) -> None:
        handler = type("_BoundHandler", (_Handler,), {"health": health, "registry": registry})
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            message = f"OPS_HOST, OPS_PORT: cannot listen on {host}:{port}: {error.strerror}"
            raise ConfigurationError(message) from error
        self._server.daemon_threads = True
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Return the port that was bound."""
        return int(self._server.server_address[1])

    def start(self) -> Self:
        """Begin to answer; returns itself."""
        # Made here: Python 3.13 takes a thread that was made before a fork for a started one.
        self._thread = threading.Thread(target=self._server.serve_forever, name="ops", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop answering and release the port."""
        if self._thread is not None and self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(timeout=2)
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    health: Health
    registry: CollectorRegistry
    timeout = 5  # seconds; an idle client must not keep a thread
    server_version = "ops"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in ("/health/live", "/health/ready"):
            passed, body = self.health.report("live" if path.endswith("live") else "ready")
            status = HTTPStatus.OK if passed else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, msgspec.json.encode(body), _JSON)
        elif path == "/status":
            self._answer(HTTPStatus.OK, msgspec.json.encode(self.health.status()), _JSON)
        elif path == "/metrics":
            self._answer(HTTPStatus.OK, generate_latest(self.registry), CONTENT_TYPE_LATEST)
        else:
            known = "/health/live, /health/ready, /status, /metrics"
            message = f"unknown path {path}; known: {known}"
            self._answer(HTTPStatus.NOT_FOUND, msgspec.json.encode({"error": message}), _JSON)

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay silent: probes come every few seconds."""
