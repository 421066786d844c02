"""gunicorn, run from Python: one worker with a thread for each stream and some for requests.

One worker, because the live data are read once for each process; threads, because what they do is
to wait. gunicorn's own linger keeps idle connections for 2 s after SIGTERM and answers what comes
on them with ``Connection: close``, so that no client's request is cut.
"""

import gc
import logging
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import msgspec
from gunicorn import util
from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import ThreadWorker

from common.errors import ConfigurationError
from common.lifecycle import STOP_BUDGET_S
from common.log import configure_logging, get_logger
from common.serving import ThreadedServer, require_address
from common.settings import load_settings
from web_app.settings import REQUEST_THREADS, WebSettings

__all__ = ["WebServer", "main"]

_KEEPALIVE_S = 75
_BACKLOG = 1024
_ASKING_S = 5.0  # from the first byte of a request to its last; a page's request is one packet


def main() -> int:
    """Serve until SIGTERM; raises `common.errors.ConfigurationError` before anything starts."""
    settings = load_settings(WebSettings)
    configure_logging(settings.service_name, settings.log_level)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it names each of its plugins
    if not settings.vendor_dir.is_dir():
        get_logger(__name__).warning(
            "the charting library is missing: the page shows how to install it, the API works",
            frontend_dir=str(settings.vendor_dir.parent),
        )
    require_address(settings)
    WebServer(settings).run()
    return 0


class WebServer(ThreadedServer):
    """gunicorn's master; everything else is imported and started in the worker."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        threads = settings.web_max_streams + REQUEST_THREADS
        super().__init__(
            settings,
            threads,
            worker_class=_Worker,
            worker_connections=4 * threads,
            keepalive=_KEEPALIVE_S,
            graceful_timeout=int(STOP_BUDGET_S) - 1,
            backlog=_BACKLOG,
        )

    def load(self) -> Any:
        """Return the application; called by gunicorn in the worker."""
        from web_app.application import create_app
        from web_app.runtime import Runtime

        util.write_error = _refuse  # there is no setting for it
        runtime = Runtime(self._settings)
        try:
            runtime.start()
        except ConfigurationError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(Arbiter.WORKER_BOOT_ERROR)  # the master ends too, instead of trying for ever
        app = create_app(runtime)
        app.extensions["runtime"] = runtime
        return app


def _refuse(connection: socket.socket, status: int, reason: str, detail: str) -> None:
    """Answer what is no request that the application could be given."""
    problem = {"type": "about:blank", "title": reason, "status": status, "detail": detail}
    body = msgspec.json.encode(problem)
    lines = (
        f"HTTP/1.1 {status} {reason}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
    )
    util.write_nonblock(connection, "\r\n".join((*lines, "", "")).encode("latin1") + body)


class _Worker(ThreadWorker):  # type: ignore[misc]
    """Ends the streams when the stop begins, so that their clients go to the other slot at once.

    Hangs up on who takes too long to ask: a request that never ends would hold a thread for ever.
    """

    def init_process(self) -> None:
        self._stopping = threading.Event()
        self._asking: dict[Any, float] = {}  # connections whose request is being read, since when
        super().init_process()

    def run(self) -> None:
        runtime = self.wsgi.extensions["runtime"]
        # A signal handler must not wait for locks that other threads hold, hence this thread.
        watcher = threading.Thread(target=self._drain_on_stop, args=(runtime,), daemon=True)
        watcher.start()
        threading.Thread(target=self._hang_up_on_the_slow, daemon=True).start()
        # On a shared socket the other slot serves meanwhile; alone, the backlog keeps the callers.
        runtime.wait_until_ready(self._stopping, self.notify)
        gc.collect()
        gc.freeze()  # what is there by now stays: no pause to look through it while a client waits
        try:
            super().run()
        finally:
            runtime.stop()

    def _drain_on_stop(self, runtime: Any) -> None:
        self._stopping.wait()
        runtime.drain()

    def handle(self, conn: Any) -> Any:
        self._asking[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            self._asking.pop(conn, None)

    def handle_request(self, req: Any, conn: Any) -> Any:
        self._asking.pop(conn, None)
        return super().handle_request(req, conn)

    def _hang_up_on_the_slow(self) -> None:
        while not self._stopping.wait(1.0):
            latest = time.monotonic() - _ASKING_S
            for conn in [each for each, since in list(self._asking.items()) if since < latest]:
                with suppress(OSError):  # it may be closed already
                    conn.sock.shutdown(socket.SHUT_RDWR)

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)
