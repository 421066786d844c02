"""gunicorn, run from Python: one worker with many threads, as all that serve people have it."""

import os
import socket
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from common.errors import ConfigurationError
from common.settings import ServingSettings

__all__ = ["ThreadedServer", "require_address"]

_WORKER_SILENCE_S = 60


def require_address(settings: ServingSettings) -> None:
    """Raise `ConfigurationError` where gunicorn could not listen."""
    if settings.listen_fd is not None:
        return _require_listening(settings.listen_fd)
    host, port = settings.web_host, settings.web_port
    try:
        socket.create_server((host, port), reuse_port=False).close()
    except OSError as error:
        raise ConfigurationError(
            f"WEB_HOST, WEB_PORT: cannot listen on {host}:{port}: {error.strerror}; choose another"
        ) from error


def _require_listening(descriptor: int) -> None:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as inherited:
            listening = inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigurationError(f"LISTEN_FD {descriptor}: {error.strerror}") from error
    if not listening:
        raise ConfigurationError(f"LISTEN_FD {descriptor}: the socket does not listen")


class ThreadedServer(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's master; a subclass has `load`, which makes the application in the worker."""

    def __init__(self, settings: ServingSettings, threads: int, **options: Any) -> None:
        self._options = {
            "bind": [settings.bind],
            "workers": 1,
            "threads": threads,
            "timeout": _WORKER_SILENCE_S,
            "logger_class": _Logger,
            "loglevel": settings.log_level.lower(),
            "proc_name": settings.service_name,
            "control_socket_disable": True,
            **options,
        }
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options; called by gunicorn."""
        for name, value in self._options.items():
            self.cfg.set(name, value)


class _Logger(Logger):  # type: ignore[misc]
    """gunicorn's messages through the process's own handlers; no access log."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
